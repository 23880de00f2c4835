"""`aiostream-server keys`: the key alone on stdout, once; everything else on stderr."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from aiostream_server.cli.commands import cli
from aiostream_server.intake.keys import KeyRing


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["keys", *map(str, arguments)], catch_exceptions=False)


@pytest.fixture
def keys_file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


def test_created_key_is_accepted(keys_file: Path) -> None:
    result = run("create", "alice", "--keys-file", keys_file, "--model", "data", "--model", "auto")
    assert result.exit_code == 0
    key = KeyRing.load(keys_file).find(result.stdout.removesuffix("\n"))
    assert key is not None
    assert (key.name, key.models, key.trust_user_headers) == ("alice", ("data", "auto"), False)
    assert str(keys_file) in result.stderr
    assert result.stdout.strip() not in result.stderr


def test_config_names_the_keys_file(tmp_path: Path, keys_file: Path) -> None:
    """Nothing else in it matters: the secrets of the service may not be at hand where keys are made."""
    config = tmp_path / "server.toml"
    config.write_text('[auth]\nkeys_file = "keys.json"\n[models.default]\nprovider = "openai"\napi_key_env = "NOT_SET"')
    result = run("create", "webui", "--config", config, "--trust-user-headers")
    assert result.exit_code == 0
    assert [(key.trust_user_headers, key.client) for key in KeyRing.load(keys_file)] == [(True, None)]


def test_key_may_be_made_for_open_webui(keys_file: Path) -> None:
    """Which trusts it with nothing."""
    assert run("create", "webui", "--keys-file", keys_file, "--open-webui").exit_code == 0
    assert [(key.trust_user_headers, key.client) for key in KeyRing.load(keys_file)] == [(False, "open-webui")]


def test_key_may_be_made_for_metrics_alone(keys_file: Path) -> None:
    assert run("create", "prometheus", "--keys-file", keys_file, "--metrics").exit_code == 0
    assert [key.scope for key in KeyRing.load(keys_file)] == ["metrics"]
    assert "only /metrics" in run("list", "--keys-file", keys_file).stdout


def test_key_may_choose_how_answers_are_shown(keys_file: Path) -> None:
    assert run("create", "script", "--keys-file", keys_file, "--presentation", "answer").exit_code == 0
    assert run("create", "other", "--keys-file", keys_file).exit_code == 0
    assert [key.presentation for key in KeyRing.load(keys_file)] == ["answer", None]
    _, script, other = run("list", "--keys-file", keys_file).stdout.splitlines()
    assert script.endswith("answer")
    assert other.endswith("the team's")
    assert run("create", "x", "--keys-file", keys_file, "--presentation", "loud").exit_code == 2


@pytest.mark.parametrize(
    "option", [("--model", "data"), ("--trust-user-headers",), ("--open-webui",), ("--presentation", "answer")]
)
def test_a_key_for_metrics_cannot_ask_questions(keys_file: Path, option: tuple[str, ...]) -> None:
    result = run("create", "prometheus", "--keys-file", keys_file, "--metrics", *option)
    assert result.exit_code == 2
    assert "--metrics excludes the other options" in result.stderr
    assert not keys_file.exists()


def test_list_shows_all_but_the_keys(keys_file: Path) -> None:
    text = run("create", "a rather long name of a key", "--keys-file", keys_file).stdout.strip()
    run("create", "bob", "--keys-file", keys_file, "--model", "data", "--trust-user-headers", "--open-webui")
    result = run("list", "--keys-file", keys_file)
    first, second = KeyRing.load(keys_file)
    head, *rows = result.stdout.splitlines()
    assert head.split() == ["ID", "NAME", "CREATED", "MODELS", "USER", "HEADERS", "CLIENT", "PRESENTATION"]
    assert rows[0].split()[0] == first.id
    assert rows[0].split()[-5:] == ["all", "ignored", "any", "the", "team's"]
    created = f"{second.created:%Y-%m-%d %H:%M} UTC".split()
    assert rows[1].split() == [second.id, "bob", *created, "data", "trusted", "open-webui", "the", "team's"]
    assert text not in result.output
    assert first.sha256 not in result.output


def test_revoked_key_is_gone_and_the_last_one_is_warned_about(keys_file: Path) -> None:
    for name in ("alice", "bob"):
        run("create", name, "--keys-file", keys_file)
    alice, bob = KeyRing.load(keys_file)
    result = run("revoke", alice.id, "--keys-file", keys_file)
    assert (result.exit_code, result.stdout) == (0, "")
    assert "alice is revoked" in result.stderr
    assert "No key is left" not in result.stderr
    assert [key.name for key in KeyRing.load(keys_file)] == ["bob"]
    assert "No key is left" in run("revoke", bob.id, "--keys-file", keys_file).stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["create", "alice"], 2, "which keys file? give --keys-file FILE, or --config FILE"),
        (["create", "alice", "--config", "{}/c", "--keys-file", "{}/k"], 2, "give one of them"),
        (["create", "a\nb", "--keys-file", "{}/k"], 2, "expected a name of printable characters"),
        (["create", " ", "--keys-file", "{}/k"], 2, "expected a name of printable characters"),
        (["create", "alice", "--keys-file", "{}/none/k"], 1, "k: cannot be written: no such file or directory"),
        (["list", "--keys-file", "{}/k"], 1, "k: there is no such keys file"),
        (["list", "--config", "{}/c"], 1, "c: cannot be read: no such file or directory"),
        (["list", "--config", "{}/empty.toml"], 1, "[auth] keys_file: {}/empty.toml names none"),
        (["revoke", "abcdefgh", "--keys-file", "{}/k"], 1, "k: no key has this id"),
    ],
)
def test_mistake_is_a_line_on_stderr(tmp_path: Path, arguments: list[str], status: int, words: str) -> None:
    (tmp_path / "empty.toml").touch()
    result = run(*(argument.format(tmp_path) for argument in arguments))
    assert (result.exit_code, result.stdout) == (status, "")
    assert words.format(tmp_path) in result.stderr
    assert "Traceback" not in result.stderr
