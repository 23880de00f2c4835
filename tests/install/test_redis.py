"""`scripts/install --redis`: what it adds to a configuration, and that it adds nothing twice."""

import tomllib
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from scripts.installer.layout import SOURCE
from scripts.installer.redis import URL, configured
from scripts.installer.steps import Problem

SHIPPED = (SOURCE / "configs" / "service.toml").read_text()


@pytest.mark.parametrize(
    "text",
    [
        SHIPPED,
        "",
        "[limits]\nmax_runs = 3\n",
        "[server] # mine\nport = 1\n\n[auth]\n",
        '[ server ]\nlog_level = "info"\n',
    ],
)
def test_workers_and_a_shared_store_are_added_once_and_nothing_else_is_changed(text: str) -> None:
    wanted = configured(text, 4)
    before, after = tomllib.loads(text), tomllib.loads(wanted)
    assert after.pop("runs") == {"store": "redis", "redis_url": URL}
    server = after.pop("server", {})
    assert server.pop("workers", 4) == 4
    assert {"server": server, **after} == {"server": before.pop("server", {}), **before}
    assert set(text.splitlines()) <= set(wanted.splitlines())
    assert configured(wanted, 8) == wanted


def test_what_is_said_of_workers_and_of_redis_stays() -> None:
    text = '[server]\nworkers = 2\n[runs]\nstore = "redis"\nredis_url = "redis://127.0.0.1"\n'
    assert configured(text, 4) == text
    with pytest.raises(Problem, match='without store = "redis"'):
        configured("[runs]\nlease_s = 3\n", 4)
    with pytest.raises(Problem, match="cannot be read"):
        configured("[runs", 4)


def test_the_shipped_configuration_with_it_can_be_loaded(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text(configured(SHIPPED, 3).replace('keys_file = "private/keys/keys.json"', ""))
    config = load_config(path, {})
    assert (config.server.workers, config.runs.is_shared) == (3, True)
