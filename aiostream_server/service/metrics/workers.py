"""The metrics of all workers, at any of them.

Each worker writes what it counts on its page: every five seconds, at its end, and when another one is asked for the
metrics. That one asks the others through their parent, waits until they have written, and adds up. One that does not
answer in time is counted with what it has written last.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from prometheus_client.core import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import CollectorRegistry

from aiostream_server.service.metrics.totals import added, decode, encode, is_summed, total
from aiostream_server.service.workers.peers import WorkerPeers

_PERIOD_S: Final = 5.0  # a killed worker loses what it counted in this time
_ANSWER_S: Final = 0.25
_POLL_S: Final = 0.002


class WorkerMetrics:
    """An `Exposition` for one worker; its own metrics are in `registry`."""

    def __init__(self, registry: CollectorRegistry, peers: WorkerPeers, *, limits_are_shared: bool) -> None:
        self._registry: Final = registry
        self._peers: Final = peers
        self._limits_are_shared: Final = limits_are_shared
        former = peers.pages.read(peers.number)
        self._former: Final = [] if former is None else [each for each in decode(former.content) if is_summed(each)]

    async def render(self, accept: str) -> tuple[bytes, str]:
        self._write()
        await self._ask_others()
        encode_text, content_type = choose_encoder(accept)
        found = total(self._peers.pages.read_all(), limits_are_shared=self._limits_are_shared)
        return encode_text(_Collected(found)), content_type

    def elect(self) -> bool:
        """Whether this worker is the one that listens at the loopback port."""
        return self._peers.pages.elect()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[None]:
        """Keep the page up to date for the time of the block."""
        loop = asyncio.get_running_loop()
        self._write()
        writing = asyncio.create_task(self._write_for_ever(), name="metrics-page")
        with self._peers.answering(lambda: loop.call_soon_threadsafe(self._write)):
            try:
                yield
            finally:
                writing.cancel()
                self._write()

    async def _write_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_PERIOD_S)  # counts change all the time, and nothing waits for them
            self._write()

    def _write(self) -> None:
        own = self._registry.collect()
        families = added([*self._former, *own]) if self._former else own
        self._peers.pages.write(self._peers.number, encode(families))

    async def _ask_others(self) -> None:
        before = self._peers.pages.versions()
        before.pop(self._peers.number, None)
        if not before:
            return
        self._peers.ask()
        with suppress(TimeoutError):
            async with asyncio.timeout(_ANSWER_S):
                while before.items() & self._peers.pages.versions().items():  # noqa: ASYNC110 # no event of this process
                    await asyncio.sleep(_POLL_S)  # another process writes


class _Collected(CollectorRegistry):
    """Encoders take a registry."""

    def __init__(self, families: list[Metric]) -> None:
        super().__init__()
        self._families: Final = families

    def collect(self) -> list[Metric]:
        return self._families
