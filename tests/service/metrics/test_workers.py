"""`[server] workers`: each of them tells its own figures, at a port of its own."""

import asyncio
import socket
from pathlib import Path

import aiohttp

from tests.kit.process import serving_process
from tests.kit.serving import ask
from tests.kit.waiting import DEADLINE_S
from tests.service.metrics.counting import Figures, read


async def test_each_worker_serves_its_own_metrics_on_its_own_port(tmp_path: Path) -> None:
    port = _two_free_ports()
    text = f'[models.default]\nprovider = "demo"\n[server]\nport = 0\nworkers = 2\n[metrics]\nloopback_port = {port}\n'
    async with serving_process(text, tmp_path) as server:
        for _ in range(5):  # odd: two readings of the same worker would make it even
            await ask(server.url, "What is 2+2?", model="general")
        assert (await read(f"{server.url}/metrics"))[0] == 404
        told = [await _figures(port), await _figures(port + 1)]
    runs = [figures.value("aiostream_runs_total", team="general", outcome="stop") or 0 for figures in told]
    assert sum(runs) == 5


async def _figures(port: int) -> Figures:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            try:
                status, _, text = await read(f"http://127.0.0.1:{port}/metrics")
            except aiohttp.ClientConnectionError:
                await asyncio.sleep(0.02)
            else:
                assert status == 200
                return Figures(text)


def _two_free_ports() -> int:
    """The first of two that follow one another."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port: int = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
