"""A server that counts, as `service` puts it together; and what it tells, read as Prometheus does."""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

from aiostream_server.config.model import Config
from aiostream_server.observe.observer import fan_out
from aiostream_server.service.composition import compose
from aiostream_server.service.event_loop import LagMeter
from aiostream_server.service.metrics import MetricsExport
from aiostream_server.service.sockets import listen
from aiostream_server.web.health import LOOP_LAG
from aiostream_server.web.state import STATE
from tests.kit.serving import Server


@asynccontextmanager
async def counting(config: Config, state_directory: Path) -> AsyncIterator[Server]:
    counted = MetricsExport.of(config)
    app = compose(config, state_directory=state_directory, observer=fan_out(*counted.observers))
    counted.mount(app)
    app[LOOP_LAG] = LagMeter()
    runner = web.AppRunner(app, handler_cancellation=True, auto_decompress=False, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.SockSite(runner, listen("127.0.0.1", 0)).start()
        async with counted.running(app):
            yield Server(f"http://127.0.0.1:{runner.addresses[0][1]}", app[STATE], runner)
    finally:
        await runner.cleanup()


async def read(url: str, **headers: str) -> tuple[int, str, str]:
    """The status, the content type, the text."""
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, response.headers.get("Content-Type", ""), await response.text()


class Figures:
    """All series of one reading."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.families = {family.name: family for family in text_string_to_metric_families(text)}
        self.samples = [sample for family in self.families.values() for sample in family.samples]

    def value(self, name: str, /, **labels: str) -> float | None:
        """Of the one series that has these labels; None where there is none."""
        found = [each.value for each in self.samples if each.name == name and labels.items() <= each.labels.items()]
        assert len(found) < 2, (name, labels, found)
        return found[0] if found else None

    def labels_of(self, name: str) -> Iterable[str]:
        return {label for each in self.samples if each.name == name for label in each.labels}


async def figures_of(server: Server) -> Figures:
    status, _, text = await read(f"{server.url}/metrics")
    assert status == 200
    return Figures(text)
