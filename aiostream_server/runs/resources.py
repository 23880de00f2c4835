"""What the runs of one configuration are made of, and how many still use it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig
from aiostream_server.observe.observer import NO_OBSERVER, Observer
from aiostream_server.routing.router import Router
from aiostream_server.runs.conversation_memory import Archive
from aiostream_server.store.files import Files
from aiostream_server.teams.catalogue import Catalogue
from aiostream_server.tools.chart.painter import Painter


class ReferenceCount:
    """How many requests and runs use what was opened together: at 0 it may be closed. For one event loop."""

    def __init__(self) -> None:
        self._count = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def __len__(self) -> int:
        return self._count

    def acquire(self) -> None:
        """`release` has to follow."""
        self._count += 1
        self._unused.clear()

    def release(self) -> None:
        self._count -= 1
        if not self._count:
            self._unused.set()

    @contextmanager
    def holding(self) -> Iterator[None]:
        self.acquire()
        try:
            yield
        finally:
            self.release()

    async def until_unused(self) -> None:
        await self._unused.wait()


@dataclass(frozen=True, slots=True)
class RunResources:
    """Shared by every run of one configuration. A reload makes the next; runs go on with the one they started with."""

    catalogue: Catalogue
    router: Router
    limits: LimitsConfig
    archive: Archive | None = None
    concurrent_turns: ConcurrentTurns = "queue"
    observer: Observer = NO_OBSERVER
    files: Files | None = None
    painter: Painter | None = None
    references: ReferenceCount = field(default_factory=ReferenceCount)
    """Runs, and requests about to start one: all of this stays open for them."""
