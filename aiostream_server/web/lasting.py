"""Streams that go on after their handler has returned, and contexts that last as long as they do.

aiohttp awaits a response's `write_eof` once the handler and all middlewares have returned it. A `LastingStream` writes
there. So a live stream, which may last for minutes, keeps no coroutine of a handler or a middleware, and nothing that
these hold: 5 KiB. What has to stay open until its last frame is put around the handler with `UntilWritten`.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Generic, Self, TypeVar

from aiohttp import web

from aiostream_server.sse.writer import EventStream

_T = TypeVar("_T")


class LastingStream(EventStream):
    """A response that is written by `write`, which is awaited behind all middlewares, in the request's task."""

    def __init__(self, headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers)
        self._write: Callable[[], Awaitable[None]] | None = None
        self._open: list[AbstractContextManager[object]] = []

    def written_by(self, write: Callable[[], Awaitable[None]]) -> Self:
        self._write = write
        return self

    @property
    def lasts(self) -> bool:
        """Whether there is something to write."""
        return self._write is not None

    def keep(self, context: AbstractContextManager[object]) -> None:
        """Leave this entered context at the end of the stream. Contexts that are kept first are left first."""
        self._open.append(context)

    async def write_eof(self, data: bytes = b"") -> None:
        write, self._write = self._write, None
        if write is not None:
            self.headers.clear()  # they are sent, and no middleware reads them any more
            try:
                await write()
            except BaseException as exc:
                self._leave(exc)
                raise
            self._leave(None)
        await super().write_eof(data)

    def _leave(self, exc: BaseException | None) -> None:
        while self._open:
            context = self._open.pop(0)
            context.__exit__(None if exc is None else type(exc), exc, None if exc is None else exc.__traceback__)

    def __del__(self) -> None:
        """A middleware of another app may have answered with another response: this one will not be written."""
        self._leave(None)


class UntilWritten(Generic[_T]):
    """Enters a context for a handler, and leaves it with the handler; with a stream that lasts, at the end of that.

    `with UntilWritten(context) as until: return until.written(await handler(request))`. `until.entered` is what the
    context's `__enter__` returned.
    """

    __slots__ = ("_context", "_is_kept", "entered")

    def __init__(self, context: AbstractContextManager[_T]) -> None:
        self._context = context
        self._is_kept = False
        self.entered: _T

    def __enter__(self) -> Self:
        self.entered = self._context.__enter__()
        return self

    def written(self, response: web.StreamResponse) -> web.StreamResponse:
        if isinstance(response, LastingStream) and response.lasts:
            response.keep(self._context)
            self._is_kept = True
        return response

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not self._is_kept:
            self._context.__exit__(kind, exc, traceback)
