"""`AIOSTREAM_SECTION__KEY` overrides a key; one that names none is told by the variable's name."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.environment import find_overrides, overridden, state_directory
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config, DemoModelConfig, ModelInfoConfig, OpenAIModelConfig
from aiostream_server.errors import ConfigError
from tests.config.writing import complaints, loaded, problems

OPENAI = '[models.default]\nprovider = "openai"\nmodel = "m"\n'


def openai_model(config: Config, name: str = "default") -> OpenAIModelConfig:
    model = config.models[name]
    assert isinstance(model, OpenAIModelConfig)
    return model


def test_variable_beats_the_file(tmp_path: Path) -> None:
    environ = {"AIOSTREAM_SERVER__PORT": "9000", "aiostream_server__heartbeat_s": "2"}
    config = loaded(tmp_path, "[server]\nport = 8001\ndrain_s = 1", environ)
    assert (config.server.port, config.server.heartbeat_s, config.server.drain_s) == (9000, 2.0, 1.0)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost", '"localhost"', "1", "true", "1979-05-27"])
def test_a_key_that_wants_a_string_gets_one(host: str) -> None:
    """Quotes are TOML's, and are not needed."""
    assert load_config(None, {"AIOSTREAM_SERVER__HOST": host}).server.host == host.strip('"')


def test_number_that_is_wrong_is_told_as_a_number_with_its_variable() -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(None, {"AIOSTREAM_SERVER__PORT": "70000", "AIOSTREAM_SERVER__HOST": "127"})
    assert caught.value.problems == (
        "[server] port: expected a whole number from 0 to 65535, got 70000 (from AIOSTREAM_SERVER__PORT)",
    )


def test_more_toml_behind_a_value_is_text() -> None:
    assert load_config(None, {"AIOSTREAM_SERVER__HOST": "1\nport = 5"}).server.host == "1\nport = 5"


def test_tables_of_a_name_are_found_whatever_their_case_and_signs(tmp_path: Path) -> None:
    text = f'{OPENAI}[models."GPT-4.1"]\nprovider = "openai"\nmodel = "x"'
    environ = {
        "AIOSTREAM_MODELS__GPT_4_1__BASE_URL": "http://localhost:11434/v1",
        "AIOSTREAM_MODELS__DEFAULT__MODEL": "4",
        "AIOSTREAM_MODELS__DEFAULT__MODEL_INFO__VISION": "true",
        "AIOSTREAM_MODELS__DEFAULT__OPTIONS": "{ temperature = 0.2 }",
    }
    config = loaded(tmp_path, text, environ)
    assert openai_model(config, "GPT-4.1").base_url == "http://localhost:11434/v1"
    assert openai_model(config).model == "4"
    assert openai_model(config).model_info == ModelInfoConfig(vision=True)
    assert openai_model(config).options == {"temperature": 0.2}


def test_a_whole_model_can_come_from_variables() -> None:
    config = load_config(None, {"AIOSTREAM_MODELS__DEFAULT__PROVIDER": "demo", "AIOSTREAM_MODELS__B__PROVIDER": "demo"})
    assert config.models == dict.fromkeys(("b", "default"), DemoModelConfig(provider="demo"))
    assert config.notes == ()


def test_secret_file_is_noted_once_although_the_document_is_checked_twice(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("x")
    (tmp_path / "key").chmod(0o644)
    config = loaded(tmp_path, f'{OPENAI}api_key_file = "key"', {"AIOSTREAM_MODELS__DEFAULT__MODEL": "4"})
    assert len(config.notes) == 1


def test_variables_that_name_no_key_are_named(tmp_path: Path) -> None:
    environ = {
        "AIOSTREAM_SERVER__PRT": "1",
        "AIOSTREAM_SRVER__PORT": "1",
        "AIOSTREAM_SERVER__PORT__X": "1",
        "AIOSTREAM_TEAMS__0__ID": "a",
        "AIOSTREAM_SERVER__PÖRT": "1",
        "AIOSTREAM_SERVER__HOST": "\udcff",
        "AIOSTREAM_MODELS__DEFAULT__MODEL_INFO": "5",
    }
    assert problems(tmp_path, f"{OPENAI}[server]\nport = 1", environ) == [
        "AIOSTREAM_SERVER__HOST: its value is not UTF-8 text",
        '"AIOSTREAM_SERVER__PÖRT": the name of a variable has ASCII letters only',
        "AIOSTREAM_TEAMS__0__ID: [[teams]] can only be set in the file, being a list",
        "[server] port: expected a whole number from 0 to 65535, got a table (from AIOSTREAM_SERVER__PORT__X)",
        "[server] prt: unknown key; did you mean port? (from AIOSTREAM_SERVER__PRT)",
        "[models.default] model_info: expected a table, got 5 (from AIOSTREAM_MODELS__DEFAULT__MODEL_INFO)",
        "[srver]: unknown table; did you mean server? (from AIOSTREAM_SRVER__PORT)",
    ]


def test_what_the_file_lacks_is_not_blamed_on_a_variable(tmp_path: Path) -> None:
    text = '[models.default]\nprovider = "openai"'
    assert problems(tmp_path, text, {"AIOSTREAM_MODELS__DEFAULT__BASE_URL": "http://h"}) == [
        "[models.default] model: needed, but missing; expected a string"
    ]


def test_other_variables_are_ignored() -> None:
    environ = {"AIOSTREAM_KEY": "x", "AIOSTREAM_": "", "SERVER__PORT": "x", "MY_AIOSTREAM_SERVER__PORT": "x"}
    assert load_config(None, environ) == load_config(None, {})


def test_deep_value_is_refused_without_a_traceback() -> None:
    with pytest.raises(ConfigError, match=r"^environment: lists or tables are nested too deeply$"):
        load_config(None, {"AIOSTREAM_SERVER__PORT": "[" * 5000})


@given(
    variables=st.dictionaries(
        st.lists(st.sampled_from(["server", "PORT", "models", "a", "", "_", "\udc80"]), min_size=1, max_size=4).map(
            lambda parts: "AIOSTREAM_" + "__".join(parts)
        ),
        st.text(max_size=20) | st.sampled_from(["[1", "{ a = 1 }", "9", "\udc80"]),
        max_size=4,
    )
)
def test_any_environment_loads_or_is_refused(variables: dict[str, str]) -> None:
    assert all(line.encode() for line in complaints(None, variables))


@given(st.integers() | st.booleans() | st.text(alphabet="abc .-", min_size=1).map(str.strip))
def test_value_is_what_toml_makes_of_it_or_the_text(value: int | bool | str) -> None:
    text = str(value).lower()
    environ = {"AIOSTREAM_A__B": text}
    document = overridden({}, find_overrides({}, environ), as_text=())
    try:
        expected = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        expected = text
    assert document == {"a": {"b": expected}}


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/ours:/var/lib/other", "HOME": "/home/me"}, "/var/lib/ours"),
        ({"XDG_STATE_HOME": "/home/me/state", "HOME": "/home/me"}, "/home/me/state/aiostream-server"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/me"}, "/home/me/.local/state/aiostream-server"),
        ({"HOME": "/home/me"}, "/home/me/.local/state/aiostream-server"),
    ],
)
def test_the_state_directory_is_systemds_or_else_the_users(environ: dict[str, str], folder: str) -> None:
    assert state_directory(environ) == Path(folder)
