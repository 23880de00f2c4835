"""An output queue and a lock in a few hundred bytes each.

An `asyncio.Queue` takes 2.3 KiB while it is empty. AutoGen's smallest team has three of them, one for its output and
one in the lock of each of its two agents: 7 KiB of the 27 KiB that a waiting team takes on `TeamRuntime`.
"""

import asyncio
from typing import Generic, TypeVar

_T = TypeVar("_T")


class OutputQueue(Generic[_T]):
    """The part of an unbounded `asyncio.Queue` that a group chat uses. Waiting readers are served in order.

    `get` returns a future instead of a coroutine: AutoGen would make a task of a coroutine. A reader that is cancelled
    after it was given an item, but before it wakes, loses that item; a group chat's reader then ends and clears the
    queue.
    """

    __slots__ = ("_fresh", "_old", "_waiters")

    def __init__(self) -> None:
        self._fresh: list[_T] = []
        self._old: list[_T] = []  # older than the fresh ones, the oldest last
        self._waiters: list[asyncio.Future[_T]] = []

    def qsize(self) -> int:
        return len(self._fresh) + len(self._old)

    def empty(self) -> bool:
        return not (self._fresh or self._old)

    async def put(self, item: _T) -> None:
        self.put_nowait(item)

    def put_nowait(self, item: _T) -> None:
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():  # else it was cancelled
                waiter.set_result(item)
                return
        self._fresh.append(item)

    def get(self) -> asyncio.Future[_T]:
        item: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        if self.empty():
            self._waiters.append(item)
        else:
            item.set_result(self.get_nowait())
        return item

    def get_nowait(self) -> _T:
        """Raises `asyncio.QueueEmpty`."""
        if not self._old:
            self._fresh.reverse()
            self._old, self._fresh = self._fresh, []
        if not self._old:
            raise asyncio.QueueEmpty
        return self._old.pop()


class TurnLock:
    """A first-in, first-out lock. A cancelled waiter passes its turn on; with AutoGen's lock the next one hangs."""

    __slots__ = ("_is_locked", "_waiters")

    def __init__(self) -> None:
        self._is_locked = False
        self._waiters: list[asyncio.Future[None]] = []

    async def acquire(self) -> None:
        if not self._is_locked:
            self._is_locked = True
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter in self._waiters:
                self._waiters.remove(waiter)
            elif not waiter.cancelled():
                self.release()  # it was this one's turn already
            raise

    def release(self) -> None:
        while self._waiters:
            waiter = self._waiters.pop(0)
            if not waiter.done():
                waiter.set_result(None)
                return
        self._is_locked = False
