"""A queue between one producer and one consumer, which tells the producer when it is far ahead."""

import asyncio
from collections.abc import Sequence
from typing import Final, Self

from aiostream_server.models.think import Spoken

_SIZE: Final = 16


class Handoff:
    """A `Listener` whose consumer iterates over what was said, until it is closed and empty."""

    def __init__(self) -> None:
        self._items: asyncio.Queue[Sequence[Spoken] | None] = asyncio.Queue()
        self._has_room = asyncio.Event()

    def hear(self, spoken: Sequence[Spoken]) -> bool:
        if spoken:
            self._items.put_nowait(spoken)
        return not self.is_full

    @property
    def is_full(self) -> bool:
        return self._items.qsize() >= _SIZE

    async def room(self) -> None:
        while self.is_full:
            self._has_room.clear()
            await self._has_room.wait()

    def close(self) -> None:
        """Nothing comes after what was said."""
        self._items.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Sequence[Spoken]:
        spoken = await self._items.get()
        if spoken is None:
            raise StopAsyncIteration
        self._has_room.set()
        return spoken
