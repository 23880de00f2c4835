"""Every mistake is named at once: one line each, the key by its table, what was expected, what was found."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.load import load_config
from aiostream_server.errors import ConfigError
from tests.config.writing import complaints, loaded, problems, written

BROKEN = """
port = 9000
nothing = 1
[server]
port = 70000
hosst = "x"
loop = "uv"
drain_s = -1
heartbeat_s = inf
[servr]
x = 1
[models."gpt-4.1"]
provider = "openai"
model_info = { vison = true, family = 5 }
[models.x]
provider = "opnai"
[models.y]
provider = "component"
component = 5
[models.z]
[models]
w = 5
[database.a]
[database.b]
url = "nowhere"
row_limit = true
[[teams]]
id = "Sales"
nmae = "x"
databases = ["a", "c"]
roles = { A = "valid" }
[[teams]]
factory = "x"
databases = "a"
examples = ["a", 5]
[[teams]]
id = "auto"
factory = "x:y"
component = "z"
"""
COMPLAINTS = """
[server] port: expected a whole number from 0 to 65535, got 70000
[server] heartbeat_s: expected a number above 0, got inf
[server] drain_s: expected a number of at least 0, got -1
[server] loop: expected "uvloop" or "asyncio", got "uv"
[server] hosst: unknown key; did you mean host?
[models."gpt-4.1"] model: needed, but missing; expected a string
[models."gpt-4.1"] model_info.family: expected a string, got 5
[models."gpt-4.1"] model_info.vison: unknown key; did you mean vision?
[models.x] provider: expected "component", "demo", "llama.cpp" or "openai", got "opnai"
[models.y] component: expected a table, or the path of a JSON file
[models.z] provider: needed, but missing; expected "component", "demo", "llama.cpp" or "openai"
[models.w]: expected a table, got 5
[database.a] url: exactly one of url, url_env and url_file is needed
[database.b] url: expected a SQLAlchemy URL, such as sqlite+aiosqlite:///shop.db
[database.b] row_limit: expected a whole number above 0, got true
[[teams]] #1 (Sales) id: expected a name of at most 64 lower-case letters, digits, ".", "_" and "-", got "Sales"
[[teams]] #1 (Sales) component: expected one of factory = "module:function", component = "file.json", kind = "assistant"
[[teams]] #1 (Sales) model: there is no [models.default]; known: "gpt-4.1", w, x, y, z
[[teams]] #1 (Sales) roles.A: expected "thinking", "validation", "analysis" or "message", got "valid"
[[teams]] #1 (Sales) databases #2: there is no [database.c]; known: a, b
[[teams]] #1 (Sales) nmae: unknown key; did you mean name?
[[teams]] #2 id: needed, but missing; expected a name of at most 64 lower-case letters, digits, ".", "_" and "-"
[[teams]] #2 examples #2: expected a string, got 5
[[teams]] #2 factory: expected "module:function", got "x"
[[teams]] #2 model: there is no [models.default]; known: "gpt-4.1", w, x, y, z
[[teams]] #2 databases: expected a list of strings, got "a"
[[teams]] #3 (auto) id: "auto" is the server's own model id
[[teams]] #3 (auto) component: expected one of factory = "module:function", component = "file.json", kind = "assistant"
[[teams]] #3 (auto) model: there is no [models.default]; known: "gpt-4.1", w, x, y, z
port, at the top of the file: unknown key; did you mean [server] port?
nothing, at the top of the file: unknown key
[servr]: unknown table; did you mean server?
"""


def test_every_mistake_is_named_at_once(tmp_path: Path) -> None:
    assert problems(tmp_path, BROKEN) == COMPLAINTS.strip().splitlines()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('server.port = "8000"', '[server] port: expected a whole number from 0 to 65535, got "8000"'),
        ("server.port = true", "[server] port: expected a whole number from 0 to 65535, got true"),
        ("server.port = 80.0", "[server] port: expected a whole number from 0 to 65535, got 80.0"),
        ("server.heartbeat_s = nan", "[server] heartbeat_s: expected a number above 0, got nan"),
        ("server.host = []", "[server] host: expected a string, got a list"),
        ("server.host = 2024-01-01", "[server] host: expected a string, got 2024-01-01"),
        ("server = 5", "[server]: expected a table, got 5"),
        ("auth.keys_file = {}", "[auth] keys_file: expected a string, got a table"),
        (f"server.loop = '{'x' * 90}'", f'[server] loop: expected "uvloop" or "asyncio", got "{"x" * 60}..."'),
        ('server.loop = "a\\nb"', '[server] loop: expected "uvloop" or "asyncio", got "a\\nb"'),
        ('server.loop = "ü"', '[server] loop: expected "uvloop" or "asyncio", got "ü"'),
        (
            '"a\\u001bb" = {}',
            (
                '["a\\u001bb"]: unknown table; known: server, auth, limits, runs, models, '
                "routing, open_webui, auxiliary, conversations, files, page, metrics, tracing, database, "
                "tools, components, team_folders, teams"
            ),
        ),
        ("auth.zzz = 1", "[auth] zzz: unknown key; known: keys_file"),
        ("routing.threshold = 2", "[routing] threshold: expected a number from 0 to 1, got 2"),
        ("teams = [5]", "[[teams]] #1: expected a table, got 5"),
        (
            'teams = [{id = "a", factory = "a:b", system_message = "Hi"}]',
            '[[teams]] #1 (a) system_message: is for teams of kind = "assistant": a factory or component has its own',
        ),
        (
            'teams = [{id = "a", kind = "assistant", factory = "a:b"}]',
            '[[teams]] #1 (a) factory: kind = "assistant" has a factory of its own: leave one of them out',
        ),
        (
            'models.default = {provider = "openai", model = "m", model_info = {vision = "yes"}}',
            '[models.default] model_info.vision: expected true or false, got "yes"',
        ),
    ],
)
def test_one_mistake_is_one_line(tmp_path: Path, text: str, line: str) -> None:
    assert problems(tmp_path, text) == [line]


KEYS = st.sampled_from(["server", "port", "models", "default", "provider", "openai", "demo", "component", "model"]) | (
    st.sampled_from(
        ["database", "databases", "url", "teams", "id", "routing", "fallback", "roles", "model_info", "a.b"]
    )
)
VALUES = st.recursive(
    st.sampled_from(["openai", "demo", "component", "a", "x:y", ""]) | st.integers() | st.booleans() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


def as_toml(value: object) -> str:
    match value:
        case dict():
            return "{" + ", ".join(f'"{key}" = {as_toml(inner)}' for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(as_toml, value)) + "]"
        case str():
            return f'"{value}"'
        case _:
            return str(value).lower()


@given(document=st.dictionaries(KEYS, VALUES, max_size=4))
def test_mistakes_are_described_in_the_files_own_terms(
    tmp_path_factory: pytest.TempPathFactory, document: dict[str, object]
) -> None:
    """No shape of a document makes the loader stumble, nor do pydantic's inner names come through."""
    text = "\n".join(f'"{key}" = {as_toml(value)}' for key, value in document.items())
    for line in complaints(written(tmp_path_factory.getbasetemp(), text), {}):
        assert ": " in line
        assert "\n" not in line
        assert not any(word in line.lower() for word in ("pydantic", "input should", "dict[", "function-", "literal"))


class TestSecrets:
    """What a secret is named by, what is wrong with it, and that no line and no `repr` shows one."""

    OPENAI = '[models.default]\nprovider = "openai"\nmodel = "m"\n'
    SECRET = "sk-canary/with+signs"

    def test_key_comes_from_a_variable(self, tmp_path: Path) -> None:
        config = loaded(tmp_path, f'{self.OPENAI}api_key_env = "KEY"', {"KEY": f" {self.SECRET}\n"})
        model = config.models["default"]
        assert model.provider == "openai"
        assert model.api_key is not None
        assert model.api_key.get_secret_value() == self.SECRET
        assert self.SECRET not in repr(config)

    def test_key_comes_from_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(f"{self.SECRET}\n")
        (tmp_path / "key").chmod(0o600)
        config = loaded(tmp_path, f'{self.OPENAI}api_key_file = "key"')
        model = config.models["default"]
        assert model.provider == "openai"
        assert model.api_key is not None
        assert model.api_key.get_secret_value() == self.SECRET
        assert config.notes == ()

    def test_a_secret_file_that_all_users_can_read_is_noted(self, tmp_path: Path) -> None:
        path = tmp_path / "key"
        path.write_text(self.SECRET)
        path.chmod(0o644)
        assert loaded(tmp_path, f'{self.OPENAI}api_key_file = "key"').notes == (
            f"every user of this machine can read the secret in {path}: chmod 600 {path}",
        )

    def test_short_secret_of_user_tokens_is_noted(self, tmp_path: Path) -> None:
        """RFC 7518 wants as many bytes as the hash has: 32."""
        text = '[models.default]\nprovider = "demo"\n[open_webui]\nuser_token_secret_env = "TOKENS"'
        assert loaded(tmp_path, text, {"TOKENS": "é" * 16}).notes == ()
        notes = loaded(tmp_path, text, {"TOKENS": "canary" * 5}).notes
        assert notes == ("[open_webui] the user token secret is shorter than 32 bytes: it may be guessed",)

    def test_url_comes_from_a_variable_or_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "url").write_text("sqlite:///b.db\n")
        text = 'database.a.url_env = "URL"\ndatabase.b.url_file = "url"'
        config = loaded(tmp_path, text, {"URL": "postgresql://u:canary@h/d"})
        assert config.database["a"].resolved_url.get_secret_value() == "postgresql://u:canary@h/d"
        assert config.database["b"].resolved_url.get_secret_value() == f"sqlite:///{tmp_path}/b.db"
        assert "canary" not in repr(config)

    def test_a_password_comes_from_a_variable_or_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "password").write_text("p@ss:%/w\n")
        text = (
            'database.a = { url = "postgresql://u@h/d?sslmode=require", password_file = "password" }\n'
            'conversations = { url_env = "URL", password_env = "PASSWORD" }'
        )
        config = loaded(tmp_path, text, {"URL": "postgresql+asyncpg://u@h:1/d", "PASSWORD": "canary"})
        assert config.database["a"].resolved_url.get_secret_value() == (
            "postgresql://u:p%40ss%3A%25%2Fw@h/d?sslmode=require"
        )
        kept = config.conversations.resolved_url
        assert kept is not None
        assert kept.get_secret_value() == "postgresql+asyncpg://u:canary@h:1/d"
        assert "canary" not in repr(config)
        assert "p%40" not in repr(config)

    @pytest.mark.parametrize(
        ("url", "what"),
        [
            ("postgresql://u:canary@h/d", "the URL holds a password too: leave one of them out"),
            ("sqlite:///a.db", "the password is for a URL of PostgreSQL with a user: postgresql://user@host/name"),
            ("postgresql://h/d", "the password is for a URL of PostgreSQL with a user: postgresql://user@host/name"),
        ],
    )
    def test_a_password_needs_a_url_without_one(self, tmp_path: Path, url: str, what: str) -> None:
        text = f'database.a = {{ url = "{url}", password_env = "PASSWORD" }}'
        assert problems(tmp_path, text, {"PASSWORD": "canary"}) == [f"[database.a]: {what}"]

    def test_url_in_the_file_is_not_in_the_repr(self, tmp_path: Path) -> None:
        assert "canary" not in repr(loaded(tmp_path, 'database.a.url = "postgresql://u:canary@h/d"'))

    def test_url_of_a_variable_must_be_one(self, tmp_path: Path) -> None:
        assert problems(tmp_path, 'database.a.url_env = "URL"', {"URL": "canary"}) == [
            "[database.a]: expected a SQLAlchemy URL, such as sqlite+aiosqlite:///shop.db"
        ]

    @pytest.mark.parametrize(
        ("key", "environ", "what"),
        [
            ('api_key_env = "OPENAI_API_KEY"', {}, "api_key_env: the environment variable OPENAI_API_KEY is not set"),
            ('api_key_env = "KEY"', {"KEY": " "}, "api_key_env: the environment variable KEY is empty"),
            ('api_key_env = "sk-canary"', {}, "api_key_env: the environment variable it names is not set"),
            (
                'api_key_env = "KEY"',
                {"KEY": "sk-canary\r\nX: y"},
                "api_key_env: the environment variable KEY holds more than one line, or what cannot be printed",
            ),
            ("api_key_env = 5", {}, "api_key_env: expected a string"),
            ('api_key_file = "empty"', {}, "api_key_file: the file it names is empty"),
            ('api_key_file = "binary"', {}, "api_key_file: the file it names is not UTF-8 text"),
            (
                'api_key_file = "sk-canary"',
                {},
                "api_key_file: the file it names cannot be read: no such file or directory (paths start at {})",
            ),
            ('api_key = "sk-canary"', {}, "api_key: unknown key; did you mean api_key_env or api_key_file?"),
            ('base_url = "me:canary@host"', {}, "base_url: expected a URL that begins with http:// or https://"),
            (
                'api_key_env = "KEY"\napi_key_file = "good"',
                {"KEY": "x"},
                "api_key_file: api_key_env is given too: only one of them can be the source",
            ),
        ],
    )
    def test_mistake_is_told_without_the_secret(
        self, tmp_path: Path, key: str, environ: dict[str, str], what: str
    ) -> None:
        (tmp_path / "empty").write_text(" \n")
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        (tmp_path / "good").write_text("x")
        assert problems(tmp_path, self.OPENAI + key, environ) == [f"[models.default] {what.format(tmp_path)}"]

    def test_secret_of_a_wrongly_named_variable_is_not_told(self) -> None:
        with pytest.raises(ConfigError) as caught:
            load_config(
                None,
                {"AIOSTREAM_MODELS__DEFAULT__API_KEY": "sk-canary", "AIOSTREAM_MODELS__DEFAULT__PROVIDER": "openai"},
            )
        assert "canary" not in str(caught.value)
        assert "AIOSTREAM_MODELS__DEFAULT__API_KEY" in str(caught.value)


class TestPortOfMetrics:
    @pytest.mark.parametrize(
        ("port", "loopback_port", "workers", "problem"),
        [
            (8000, 8000, 1, "the server itself listens on 8000"),
            (8000, 8000, 4, "the server itself listens on 8000"),
            (8003, 8000, 4, None),
            (8000, 0, 4, None),
            (8000, 65535, 4, None),
        ],
    )
    def test_is_one_for_all_workers_and_not_the_servers(
        self, tmp_path: Path, port: int, loopback_port: int, workers: int, problem: str | None
    ) -> None:
        text = f'[models.default]\nprovider = "demo"\n[server]\nport = {port}\nworkers = {workers}\n'
        text += f"[metrics]\nloopback_port = {loopback_port}"
        if problem is None:
            assert loaded(tmp_path, text).metrics.loopback_port == loopback_port
        else:
            assert problems(tmp_path, text) == [f"[metrics]: loopback_port: {problem}"]
