"""What a kind of database provides: limited, read-only connections, and cursors over results.

The limits hold on the connection itself, so a statement is harmless even where the guard approved it by mistake.
"""

import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from aiostream_server.tools.sql.schema import Schema


class StatementDeadline:
    """When one statement must end: at its timeout, or when its caller stops it.

    The event loop writes it while SQLite's thread reads it, so it holds plain values only.
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

    @property
    def remaining_s(self) -> float:
        """The seconds that are left; never negative."""
        return max(0.0, self._deadline - time.monotonic())

    def is_over(self) -> bool:
        return self._stopped or self.is_late


class ResultCursor(Protocol):
    """The rows of a running statement, in the statement's order, read in steps.

    The database cuts long values itself, before they cross a socket or become Python objects: they are `cells.Clipped`,
    and binary values `cells.Binary`. Each row has as many values as there are `columns`.
    """

    @property
    def columns(self) -> tuple[str, ...]: ...

    @property
    def types(self) -> tuple[str, ...]:
        """The columns' types as the database names them; of SQLite, those of the values that were read so far."""
        ...

    @property
    def step(self) -> int:
        """How many rows may be asked for at once, even if all their values are as long as they can be."""
        ...

    async def read(self, count: int) -> Sequence[Sequence[object]]:
        """The next rows, at most `count`, perhaps fewer; empty at the end."""
        ...

    async def skip(self, count: int) -> int | None:
        """Skip at most `count` rows and return how many were skipped; None where counting takes too long."""
        ...


class Session(Protocol):
    """A limited connection for one approved statement."""

    @property
    def deadline(self) -> StatementDeadline: ...

    def execute(self, sql: str, row_limit: int, value_chars: int) -> AbstractAsyncContextManager[ResultCursor]:
        """Run the statement, of which `row_limit` rows will be read, or more, and `value_chars` of each value.

        Raises `QueryFailed` where it has no rows, and `StatementLate` at the time limit.
        """
        ...


class Catalog(Protocol):
    """Reads the schema. Neither method holds the event loop, whatever the number of tables."""

    async def stamp(self) -> str:
        """A text that changes when a table, view, comment, type or right may have changed. Takes milliseconds."""
        ...

    async def read(self, schemas: Sequence[str] | None, patterns: Sequence[str]) -> Schema:
        """The tables of these schemas (None: the session's) that the patterns choose.

        Raises `DatabaseUnreachable` where there is no such schema.
        """
        ...


class Backend(Protocol):
    """Opens connections to one database and runs statements on them."""

    def connect(self, deadline: StatementDeadline) -> AbstractAsyncContextManager[Session]: ...

    def open_catalog(self, deadline: StatementDeadline) -> AbstractAsyncContextManager[Catalog]:
        """On a read-only connection, which runs only the server's own statements."""
        ...

    async def close(self) -> None: ...
