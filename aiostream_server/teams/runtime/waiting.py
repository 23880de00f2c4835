"""Waiting for one's turn, in a few hundred bytes.

An `asyncio.Queue` takes 2.3 KiB before anything is in it, and AutoGen's smallest team has three: for what it says, and
in the lock of each of its two agents.
"""

import asyncio
from typing import Generic, TypeVar

_T = TypeVar("_T")


class OutputQueue(Generic[_T]):
    """What a group chat uses of an unbounded `asyncio.Queue`: whoever waits longest gets the oldest.

    `get` gives a future instead of a coroutine: AutoGen makes a task of each, and of a future none. Who is cancelled
    between being given an item and waking takes it along; a group chat's reader then ends, and clears the queue.
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
            if not waiter.done():  # it gave up
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
    """Whoever asked first goes first. Who gives up waiting does not keep the others from going, as AutoGen's does."""

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
