"""Which callers may read `/metrics`, and that a key for it can do nothing else."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp
import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig, Config
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import Scope, new_key
from tests.kit.serving import Server
from tests.service.metrics.counting import counting, read

PATHS: Final = ("/metrics", "/api/metrics")
QUESTION: Final = {"model": "auto", "messages": [{"role": "user", "content": "hi"}]}
ASKING: Final = (
    ("GET", "/v1/models"),
    ("GET", "/v1/models/auto"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/runs"),
    ("GET", "/v1/runs"),
    ("GET", "/v1/runs/run-1"),
    ("GET", "/v1/runs/run-1/events"),
    ("POST", "/v1/runs/run-1/cancel"),
)


def _key(file: Path, scope: Scope) -> str:
    key, text = new_key(scope, scope=scope)
    add_key(file, key)
    return text.get_secret_value()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.json"


@pytest.fixture
def keys(file: Path) -> dict[str, str]:
    """One of each kind."""
    return {"ask": _key(file, "ask"), "metrics": _key(file, "metrics"), "wrong": f"aio-abcdefgh-{'A' * 43}"}


@pytest.fixture
async def keyed(tmp_path: Path, file: Path, keys: dict[str, str]) -> AsyncIterator[Server]:
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=file)})
    async with counting(config, tmp_path) as server:
        yield server


@pytest.fixture
async def open_server(tmp_path: Path) -> AsyncIterator[Server]:
    async with counting(load_config(None, {}), tmp_path) as server:
        yield server


async def test_with_keys_only_one_for_metrics_reads_them(keyed: Server, keys: dict[str, str]) -> None:
    for key, status in (("wrong", 401), ("ask", 403), ("metrics", 200)):
        for headers in ({"Authorization": f"Bearer {keys[key]}"}, {"X-API-Key": keys[key]}):
            for path in PATHS:
                answered, _, text = await read(keyed.url + path, **headers)
                assert answered == status, (key, headers, path)
                assert ("aiostream_runs_live" in text) is (status == 200)
    for path in PATHS:
        assert (await read(keyed.url + path))[0] == 401


async def test_a_key_for_metrics_opens_nothing_else(keyed: Server, keys: dict[str, str]) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {keys['metrics']}"}) as session:
        for method, path in ASKING:
            body = QUESTION if method == "POST" else None
            async with session.request(method, keyed.url + path, json=body) as response:
                assert response.status == 403, path
                assert "reads /metrics, and nothing else" in await response.text()


async def test_without_keys_this_machine_reads_them(open_server: Server) -> None:
    for path in PATHS:
        assert (await read(open_server.url + path))[0] == 200
        assert (await read(open_server.url + path, Authorization="Bearer whatever"))[0] == 200


async def test_without_keys_a_page_that_rebinds_its_name_does_not(open_server: Server) -> None:
    for host in ("evil.example", "evil.example:8000", "127.0.0.1.evil.example"):
        assert (await read(f"{open_server.url}/metrics", Host=host))[0] == 403


async def test_metrics_are_read_by_get_only(open_server: Server) -> None:
    async with aiohttp.ClientSession() as session:
        for method in ("HEAD", "POST", "DELETE"):
            async with session.request(method, f"{open_server.url}/metrics") as response:
                assert response.status == 405


async def test_no_web_page_may_read_metrics(tmp_path: Path) -> None:
    """Not even one of an origin that may ask questions."""
    origin = "https://chat.example"
    config = Config.model_validate(load_config(None, {}).model_dump() | {"server": {"cors_origins": (origin,)}})
    async with counting(config, tmp_path) as server, aiohttp.ClientSession(headers={"Origin": origin}) as session:
        for path, allowed in (("/v1/models", True), *((path, False) for path in PATHS)):
            async with session.get(server.url + path) as response:
                assert response.status == 200
                assert ("Access-Control-Allow-Origin" in response.headers) is allowed
            asked = {"Access-Control-Request-Method": "GET"}
            async with session.options(server.url + path, headers=asked) as response:
                assert response.status == (204 if allowed else 405)
                assert ("Access-Control-Allow-Methods" in response.headers) is allowed
