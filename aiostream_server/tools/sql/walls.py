"""What keeps a statement harmless even if the guard were wrong: the connection's own limits.

A database brings up its `Walls`; one `Watch` belongs to one statement, and is how it is stopped.
"""

import time
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.tools.sql.answer import DriverAnswer


class Watch:
    """Says when a statement must end: its time is up, or nobody waits for it any more.

    Read by SQLite's thread while the event loop's writes it, so it holds plain values only.
    """

    __slots__ = ("_deadline", "_stopped")

    def __init__(self, timeout_s: float) -> None:
        self._deadline = time.monotonic() + timeout_s
        self._stopped = False

    def stop(self) -> None:
        self._stopped = True

    @property
    def is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def is_over(self) -> bool:
        return self._stopped or self.is_late


class Walls(Protocol):
    """How one database's connections are opened and limited."""

    def connect(self, watch: Watch) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for one approved statement."""
        ...

    def ask(self, connection: AsyncConnection, sql: str) -> AbstractAsyncContextManager[DriverAnswer]:
        """Run the statement on a connection of `connect`. Raise `QueryFailed` where it is none that has rows."""
        ...

    def connect_for_schema(self, watch: Watch) -> AbstractAsyncContextManager[AsyncConnection]:
        """A read-only connection that may look at the catalogs, for our own statements."""
        ...

    async def close(self) -> None: ...
