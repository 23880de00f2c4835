"""`[metrics] loopback_port`: for this machine, without a key, and never in the way of serving."""

import asyncio
import socket
from pathlib import Path

import aiohttp
import pytest
from structlog.testing import capture_logs

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig, Config, MetricsConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.kit.process import free_port
from tests.kit.waiting import DEADLINE_S
from tests.service.metrics.counting import counting, read
from tests.web.bare_client import until


def _config(port: int) -> Config:
    return load_config(None, {}).model_copy(update={"metrics": MetricsConfig(loopback_port=port)})


async def _until_read(port: int) -> str:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                status, _, text = await read(f"http://127.0.0.1:{port}/metrics")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.01)
            else:
                assert status == 200
                return text


async def test_the_listener_asks_for_no_key(tmp_path: Path) -> None:
    add_key(file := tmp_path / "keys.json", new_key("somebody")[0])
    config = _config(port := free_port()).model_copy(update={"auth": AuthConfig(keys_file=file)})
    async with counting(config, tmp_path) as server:
        assert "aiostream_runs_live" in await _until_read(port)
        assert (await read(f"{server.url}/metrics"))[0] == 401
        for path in ("/", "/v1/models", "/healthz"):
            assert (await read(f"http://127.0.0.1:{port}{path}"))[0] == 404
    with pytest.raises(aiohttp.ClientConnectionError):
        await read(f"http://127.0.0.1:{port}/metrics")


async def test_a_page_that_rebinds_its_name_reads_nothing(tmp_path: Path) -> None:
    async with counting(_config(port := free_port()), tmp_path):
        await _until_read(port)
        assert (await read(f"http://127.0.0.1:{port}/metrics", Host="evil.example"))[0] == 403


async def test_a_port_that_is_taken_is_waited_for(tmp_path: Path) -> None:
    """As in a restart, where the process before still ends its streams; the server serves meanwhile."""
    with socket.socket() as taken, capture_logs() as logs:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with counting(_config(port), tmp_path) as server:
            await until(lambda: any(line["event"] == "metrics_port_taken" for line in logs))
            assert (await read(f"{server.url}/healthz"))[0] == 200
            taken.close()
            await _until_read(port)
    told = [line for line in logs if line["event"] == "metrics_port_taken"]
    assert [line["port"] for line in told] == [port]
