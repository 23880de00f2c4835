"""A thread of the store, with a connection of its own: a whole transaction there costs the event loop one hop.

The event loop may be busy for longer than a transaction takes. So the thread does not wait for it: it takes what has
been submitted meanwhile by itself, and reports results to the loop in one call.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, Generic, TypeAlias, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from aiostream_server.store.database import DATABASE_ERRORS, ConversationsUnavailable, Link, open_link, reason

_T = TypeVar("_T")

Outcome: TypeAlias = tuple["asyncio.Future[Any]", Any]
"""A future of the event loop, and its result or exception."""


class Job(Generic[_T]):
    """Work for the thread on its connection, in one transaction. `done` is its result."""

    __slots__ = ("done", "work")

    def __init__(self, work: Callable[[Connection], _T]) -> None:
        self.work: Final = work
        self.done: Final[asyncio.Future[_T]] = new_future()


def new_future() -> "asyncio.Future[Any]":
    """Unlike a plain one it does not complain if its caller was cancelled and nothing reads its exception."""
    future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    return future


class StoreThread(ABC):
    """`changed` guards whatever the event loop and the thread share, and wakes the thread."""

    def __init__(self, url: URL, name: str, *, timeout_s: float) -> None:
        self._url: Final = url
        self._timeout_s: Final = timeout_s
        self._loop: Final = asyncio.get_running_loop()
        self._jobs: list[Job[Any]] = []
        self._ended: Final[asyncio.Future[None]] = new_future()
        self._has_ended = False
        self.changed: Final = threading.Condition()
        # A daemon: a process must end when its main thread has failed.
        self._thread: Final = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    async def ended(self) -> None:
        """Wait until the thread has ended."""
        await asyncio.shield(self._ended)
        self._thread.join()

    async def do_job(self, work: Callable[[Connection], _T]) -> _T:
        """A transaction of its own, after what was submitted before; once, even if the caller is cancelled."""
        job = Job(work)
        with self.changed:
            self.check_open()
            self._jobs.append(job)
            self.changed.notify()
        return await asyncio.shield(job.done)

    def check_open(self) -> None:
        """Raises `ConversationsUnavailable` if the thread has ended, also by a bug. Call it with `changed` held."""
        if self._has_ended:
            raise ConversationsUnavailable("the store is closed")

    @abstractmethod
    def serve(self, link: Link) -> None:
        """In the thread: do what is submitted, until there is nothing more to come."""

    @abstractmethod
    def abandon(self) -> Sequence[Outcome]:
        """What is left at the end of the thread, with `changed` held."""

    def report(self, outcomes: Sequence[Outcome]) -> None:
        """Set the futures in the event loop."""
        if outcomes:
            with suppress(RuntimeError):  # the loop was closed without closing the store
                self._loop.call_soon_threadsafe(_settle, outcomes)

    def do(self, link: Link, work: Callable[[Connection], _T], *, writes: bool) -> _T | Exception:
        """The result, or the exception: `ConversationsUnavailable` for a failure of the database."""
        try:
            return link.transact(work, writes=writes)
        except DATABASE_ERRORS as exc:
            return self.unavailable(exc)
        except Exception as exc:  # raised by what a caller gave
            return exc

    def unavailable(self, error: BaseException) -> ConversationsUnavailable:
        unavailable = ConversationsUnavailable(reason(error, self._url))
        unavailable.__cause__ = error
        return unavailable

    def _run(self) -> None:
        link = open_link(self._url, timeout_s=self._timeout_s)
        try:
            self.serve(link)
        finally:
            link.close()
            with self.changed:
                self._has_ended = True
                left = self.abandon()
            self.report([*left, (self._ended, None)])


def _settle(outcomes: Sequence[Outcome]) -> None:
    for future, outcome in outcomes:
        if future.done():
            continue
        if isinstance(outcome, BaseException):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)
