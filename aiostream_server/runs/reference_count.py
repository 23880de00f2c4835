"""Who still uses what was opened together: it may be closed when nobody does."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class ReferenceCount:
    """Counts them. Used from one event loop only."""

    def __init__(self) -> None:
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def __len__(self) -> int:
        return self._count

    def enter(self) -> None:
        """Somebody uses it; `leave` has to follow."""
        self._count += 1
        self._none.clear()

    def leave(self) -> None:
        self._count -= 1
        if not self._count:
            self._none.set()

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Around whatever uses it."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    async def until_none(self) -> None:
        """Until nobody uses it."""
        await self._none.wait()
