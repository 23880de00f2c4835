"""A configuration is read once, with all that it points at; without a file it is the defaults."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.load import load_config
from aiostream_server.config.model import (
    BUILT_IN_TEAM_IDS,
    ComponentModelConfig,
    Config,
    DatabaseConfig,
    DemoModelConfig,
    OpenAIModelConfig,
    RoutingConfig,
    TeamConfig,
)
from aiostream_server.errors import ConfigError
from aiostream_server.teams.served import BUILT_IN
from tests.config.writing import complaints, loaded, problems, written


def test_no_file_is_the_defaults_with_the_demo_model_and_says_so() -> None:
    config = load_config(None, {})
    assert config.model_dump() == Config(models={"default": DemoModelConfig(provider="demo")}).model_dump()
    assert config.notes == ("there is no [models.*] table: the demo model answers, which is no language model",)


def test_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path, "") == load_config(None, {})


def test_file_with_a_model_has_nothing_to_note(tmp_path: Path) -> None:
    assert loaded(tmp_path, '[models.default]\nprovider = "demo"').notes == ()


def test_relative_paths_start_at_the_files_folder(tmp_path: Path) -> None:
    text = """
        auth.keys_file = "keys.json"
        models.default = { provider = "component", component = "model.json" }
        database.sales = { url = "sqlite+aiosqlite:///data/sales.db?mode=ro" }
        teams = [{ id = "a", component = "/etc/team.json" }]
    """
    config = loaded(tmp_path, text)
    assert config.auth.keys_file == tmp_path / "keys.json"
    assert config.models["default"] == ComponentModelConfig(provider="component", component=tmp_path / "model.json")
    assert config.database["sales"].resolved_url.get_secret_value() == (
        f"sqlite+aiosqlite:///{tmp_path}/data/sales.db?mode=ro"
    )
    assert config.teams[0].component == Path("/etc/team.json")


class TestCredentials:
    """What systemd hands to a service, by LoadCredential=."""

    TEXT = '[models.default]\nprovider = "openai"\nmodel = "x"\napi_key_file = "$CREDENTIALS_DIRECTORY/secret_openai"'

    def test_path_starts_at_their_folder(self, tmp_path: Path) -> None:
        credentials = tmp_path / "credentials"
        credentials.mkdir()
        (credentials / "secret_openai").write_text("sk-1")
        (credentials / "secret_openai").chmod(0o400)
        config = loaded(tmp_path, self.TEXT, {"CREDENTIALS_DIRECTORY": str(credentials)})
        model = config.models["default"]
        assert isinstance(model, OpenAIModelConfig)
        assert model.api_key_file == credentials / "secret_openai"
        assert model.api_key is not None
        assert model.api_key.get_secret_value() == "sk-1"
        assert config.notes == ()

    @pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": ""}])
    def test_without_the_credentials_folder_the_key_is_named(self, tmp_path: Path, environ: dict[str, str]) -> None:
        (problem,) = problems(tmp_path, self.TEXT, environ)
        assert problem == (
            "[models.default] api_key_file: $CREDENTIALS_DIRECTORY is not set: it is set by systemd for services "
            "with LoadCredential="
        )

    @pytest.mark.parametrize("path", ["$HOME/keys.json", "~/keys.json", "$CREDENTIALS_DIRECTORYS/x", "a/$HOME"])
    def test_other_variables_in_paths_are_not_expanded(self, tmp_path: Path, path: str) -> None:
        environ = {"HOME": "/home/x", "CREDENTIALS_DIRECTORY": "/run/x"}
        assert loaded(tmp_path, f'[auth]\nkeys_file = "{path}"', environ).auth.keys_file == tmp_path / path


def test_paths_are_absolute_where_the_file_is_named_relatively(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path, 'auth.keys_file = "keys.json"')
    monkeypatch.chdir(tmp_path)
    assert load_config(Path("server.toml"), {}).auth.keys_file == tmp_path / "keys.json"


@pytest.mark.parametrize(
    "url",
    ["sqlite:////var/shop.db", "sqlite:///:memory:", "sqlite://", "sqlite:///file:a?uri=true", "postgresql://h/d"],
)
def test_urls_that_are_no_relative_path_stay_as_they_are(tmp_path: Path, url: str) -> None:
    config = loaded(tmp_path, f'[database.a]\nurl = "{url}"')
    assert config.database["a"].resolved_url.get_secret_value() == url


def test_inline_component_and_free_tables_are_kept_as_they_are(tmp_path: Path) -> None:
    text = """
        models.default = { provider = "component", component = { provider = "x.Y", config = { a = 1 } } }
        teams = [{ id = "a", factory = "x:y", settings = { since = 2024-01-01, deep = { list = [1, 2.5] } } }]
    """
    config = loaded(tmp_path, text)
    model = config.models["default"]
    assert isinstance(model, ComponentModelConfig)
    assert model.component == {"provider": "x.Y", "config": {"a": 1}}
    assert str(config.teams[0].settings["since"]) == "2024-01-01"
    assert config.teams[0].settings["deep"] == {"list": [1, 2.5]}


def test_a_team_of_a_kind_has_other_defaults(tmp_path: Path) -> None:
    text = """
        [[teams]]
        id = "a"
        kind = "assistant"

        [[teams]]
        id = "b"
        kind = "assistant"
        presentation = "transcript"
        client_tools = false
    """
    first, second = loaded(tmp_path, text).teams
    assert (first.factory, second.factory) == ("aiostream_server.teams.assistant:build",) * 2
    assert (first.presentation, second.presentation) == ("answer", "transcript")
    assert (first.client_tools, second.client_tools) == (True, False)


def test_a_mark_at_the_beginning_of_the_file_is_skipped(tmp_path: Path) -> None:
    assert loaded(tmp_path, "\ufeff[server]\nport = 1").server.port == 1


def test_auth_alone_loads_where_other_secrets_are_not_at_hand(tmp_path: Path) -> None:
    text = (
        '[auth]\nkeys_file = "keys.json"\n[models.default]\nprovider = "openai"\nmodel = "m"\napi_key_env = "NOT_SET"'
    )
    path = written(tmp_path, text)
    assert (
        load_config(path, {"AIOSTREAM_SERVER__PORT": "wrong"}, section="auth").auth.keys_file == tmp_path / "keys.json"
    )
    environ = {"AIOSTREAM_AUTH__KEYS_FILE": "/k.json"}
    assert load_config(path, environ, section="auth").auth.keys_file == Path("/k.json")


class TestReferences:
    """A name that nothing has is a mistake, and is told with the names there are."""

    def test_default_model_needs_no_table_where_nothing_uses_it(self, tmp_path: Path) -> None:
        text = 'models.big.provider = "demo"\nteams = [{ id = "a", factory = "x:y", model = "big" }]'
        assert loaded(tmp_path, text).routing.model == "default"

    def test_component_team_brings_its_own_model(self, tmp_path: Path) -> None:
        text = 'models.big.provider = "demo"\nteams = [{ id = "a", component = "t.json" }]'
        assert loaded(tmp_path, text).teams[0].model == "default"

    def test_factory_team_needs_the_model_it_defaults_to(self, tmp_path: Path) -> None:
        text = 'models.big.provider = "demo"\nteams = [{ id = "a", factory = "x:y" }]'
        assert problems(tmp_path, text) == ["[[teams]] #1 (a) model: there is no [models.default]; known: big"]

    def test_built_in_teams_need_a_default_model(self, tmp_path: Path) -> None:
        assert problems(tmp_path, 'models.big.provider = "demo"') == [
            "[[teams]]: without [[teams]] the two built-in teams are served, which need a [models.default]"
        ]

    def test_routing_by_a_model_needs_that_model(self, tmp_path: Path) -> None:
        text = """
            routing.strategy = "model"
            models."gpt-4.1".provider = "demo"
            teams = [{ id = "a", factory = "x:y", model = "gpt-4.1" }]
        """
        assert problems(tmp_path, text) == ['[routing] model: there is no [models.default]; known: "gpt-4.1"']

    def test_fallback_is_a_team(self, tmp_path: Path) -> None:
        team = 'teams = [{ id = "sales", factory = "x:y" }]'
        assert loaded(tmp_path, f'routing.fallback = "sales"\n{team}').routing.fallback == "sales"
        assert problems(tmp_path, f'routing.fallback = "sale"\n{team}') == [
            '[routing] fallback: no team has the id "sale"; did you mean sales?'
        ]

    def test_fallback_may_be_a_built_in_team_only_where_those_are_served(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, 'routing.fallback = "data"').routing.fallback == "data"
        assert problems(tmp_path, 'routing.fallback = "sales"') == [
            '[routing] fallback: no team has the id "sales"; known: general, data'
        ]

    def test_built_in_teams_are_those_of_the_catalogue(self) -> None:
        assert tuple(team.id for team in BUILT_IN) == BUILT_IN_TEAM_IDS

    def test_databases_are_tables(self, tmp_path: Path) -> None:
        text = 'teams = [{ id = "a", factory = "x:y", databases = ["sales"] }]'
        assert problems(tmp_path, text) == [
            "[[teams]] #1 (a) databases #1: there is no [database.sales]; there is none"
        ]

    def test_two_teams_with_one_id_are_both_named(self, tmp_path: Path) -> None:
        text = 'teams = [{ id = "a", factory = "x:y" }, { id = "a", factory = "x:z" }]'
        assert problems(tmp_path, text) == [
            '[[teams]] #1 (a) id: more than one team has the id "a"',
            '[[teams]] #2 (a) id: more than one team has the id "a"',
        ]

    def test_broken_tables_do_not_make_references_wrong(self, tmp_path: Path) -> None:
        text = 'models = 1\ndatabase = 2\nrouting.model = "m"\nrouting.fallback = "f"\nteams = "t"'
        assert problems(tmp_path, text) == [
            "[models]: expected a table, got 1",
            "[database]: expected a table, got 2",
            '[[teams]]: expected a list of tables, got "t"',
        ]


class TestModelInCode:
    """A model that is made in code is checked on its own, and taken at its word about the rest of the world."""

    def test_names_and_paths_stay_as_they_are(self) -> None:
        team = TeamConfig(id="a", component=Path("t.json"), model="m", databases=("d",))
        assert team.component == Path("t.json")
        assert RoutingConfig(strategy="model", model="m", fallback="t").model == "m"
        assert OpenAIModelConfig(provider="openai", model="m", api_key_env="NOT_SET").api_key is None
        assert DatabaseConfig(url="sqlite:///a.db").resolved_url.get_secret_value() == "sqlite:///a.db"
        assert Config(teams=(team,)).notes == ()


class TestFile:
    """A file that cannot be read, or is no TOML, is one line: the file, and where in it."""

    @pytest.mark.parametrize(
        ("text", "end"),
        [
            ("[server]\nport 8000", "line 2, column 6: expected '=' after a key in a key/value pair"),
            ("[server]\nport = ", "line 2, column 8: invalid value"),
            ("[server", "line 1, column 8: expected ']' at the end of a table declaration"),
            ("[a]\n[a]", "line 2, column 3: cannot declare ('a',) twice"),
        ],
    )
    def test_syntax_error_names_line_and_column(self, tmp_path: Path, text: str, end: str) -> None:
        assert problems(tmp_path, text) == [f"{tmp_path / 'server.toml'}: {end}"]

    def test_byte_that_is_not_utf_8_is_named_by_its_place(self, tmp_path: Path) -> None:
        path = tmp_path / "server.toml"
        path.write_bytes("[server]\nhost = 'é\xff".encode("latin-1").replace(b"\xe9", "é".encode()))
        with pytest.raises(ConfigError, match=r"server\.toml: line 2, column 10: this byte is not UTF-8$"):
            load_config(path, {})

    @pytest.mark.parametrize(
        ("text", "end"),
        [
            ("x = " + "[" * 5000, "lists or tables are nested too deeply"),
            ("x = " + "9" * 5000, r"Exceeds the limit .*"),
        ],
        ids=["depth", "digits"],
    )
    def test_values_that_python_refuses_are_problems_too(self, tmp_path: Path, text: str, end: str) -> None:
        with pytest.raises(ConfigError, match=rf"server\.toml: {end}"):
            loaded(tmp_path, text)

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"^/.*/none\.toml: cannot be read: no such file or directory$"):
            load_config(tmp_path / "none.toml", {})

    @given(content=st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
    def test_any_content_loads_or_is_refused(self, tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
        path = tmp_path_factory.getbasetemp() / "any.toml"
        path.write_bytes(content)
        assert all(line.startswith(("[", f"{path}: ")) or "at the top" in line for line in complaints(path, {}))
