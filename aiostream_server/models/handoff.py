"""A bounded queue between one producer and one consumer, which can be closed without waiting for room."""

import asyncio
from typing import Generic, Self, TypeVar

_Item = TypeVar("_Item")


class Handoff(Generic[_Item]):
    """Iterating ends once it is closed and empty."""

    def __init__(self, size: int = 16) -> None:
        self._room = asyncio.Semaphore(size)
        self._items: asyncio.Queue[_Item | None] = asyncio.Queue()

    async def put(self, item: _Item) -> None:
        """Waits while the consumer is `size` items behind."""
        await self._room.acquire()
        self._items.put_nowait(item)

    def close(self) -> None:
        """Nothing comes after what was put."""
        self._items.put_nowait(None)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> _Item:
        item = await self._items.get()
        if item is None:
            raise StopAsyncIteration
        self._room.release()
        return item
