"""A running statement, as the reader of its rows sees it: the same for every database.

Each database cuts long values itself, before they cross a socket or become Python objects; `cells.clip` says how.
"""

from collections.abc import Sequence
from typing import Protocol


class DriverAnswer(Protocol):
    """Rows in the statement's own order, read in steps. `columns` are as many as a row has values."""

    @property
    def columns(self) -> tuple[str, ...]: ...

    async def read(self, count: int) -> Sequence[Sequence[object]]:
        """The next rows, at most `count`; none at the end. No text in them is longer than `cells.clip` leaves it."""
        ...

    async def skip(self, count: int) -> int | None:
        """Pass over at most `count` rows and say how many there were; None where finding out takes too long."""
        ...
