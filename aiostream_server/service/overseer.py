"""Who is told how this process is: the service manager, or a worker's parent."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from aiostream_server.service.figures import Figures


class Overseer(Protocol):
    """Nothing here waits, and nothing fails where nobody listens."""

    @property
    def beat_s(self) -> float:
        """How often it wants to hear that the event loop turns."""

    def ready(self) -> None:
        """Connections are accepted."""

    def reloading(self) -> None:
        """`reloaded` is to follow."""

    def reloaded(self) -> None: ...

    def beat(self, figures: Figures) -> None:
        """The event loop turns."""

    def stopping(self, within_s: float) -> None:
        """The process ends within that time."""


async def report(overseer: Overseer, read: Callable[[], Figures]) -> None:
    """From the event loop, until it is cancelled: one that is blocked says nothing."""
    while True:
        overseer.beat(read())
        await asyncio.sleep(overseer.beat_s)  # a beat has no event to wait for
