"""A task that enters an async context manager and leaves it again.

MCP clients consist of anyio's cancel scopes, which must be left by the task that entered them. A run has many tasks,
and any of them may be cancelled, so the resource gets a task of its own.
https://anyio.readthedocs.io/en/stable/cancellation.html#avoiding-cancel-scope-stack-corruption
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Final, Generic, TypeVar

import structlog

_T = TypeVar("_T")
_EXIT_TIMEOUT_S: Final = 1.5

_log = structlog.get_logger()


class ResourceTask(Generic[_T]):
    """Starts entering the resource at once; `opened` waits for it. Used from one event loop."""

    def __init__(self, resource: AbstractAsyncContextManager[_T], *, name: str) -> None:
        self.name: Final = name
        self._leave: Final = asyncio.Event()
        self._opened: Final[asyncio.Future[_T]] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(_mark_as_retrieved)
        # An empty context: a shared resource must not keep the context variables of the run that opens it.
        self.task: Final = asyncio.create_task(self._hold(resource), name=name, context=Context())

    async def opened(self, timeout_s: float | None = None) -> _T:
        """The entered resource. Raises what entering raised. After `timeout_s` gives up and raises TimeoutError."""
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._opened)
        except TimeoutError:
            if not self._opened.done():
                self.task.cancel()
            raise

    async def close(self, timeout_s: float = _EXIT_TIMEOUT_S) -> None:
        """Leave the resource. After `timeout_s` the task is cancelled, twice; then it is abandoned with a warning."""
        self._leave.set()
        if not self._opened.done():
            self.task.cancel()
        for _ in range(3):
            await asyncio.wait({self.task}, timeout=timeout_s)
            if self.task.done():
                return
            self.task.cancel()
        _log.warning("tool_left_behind", tool=self.name)

    async def _hold(self, resource: AbstractAsyncContextManager[_T]) -> None:
        try:
            async with resource as value:
                if not self._opened.done():
                    self._opened.set_result(value)
                await self._leave.wait()
        except asyncio.CancelledError:
            self._fail(RuntimeError("the resource ended before it was open"))
        except BaseException as exc:  # anyio's groups can contain any error, which `opened` raises
            if self._opened.done():
                _log.debug("tool_ended", tool=self.name, error=_name_of(exc))  # a traceback could show secrets
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        if not self._opened.done():
            self._opened.set_exception(exc)


def _name_of(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return type(exc).__name__


def _mark_as_retrieved(opened: asyncio.Future[_T]) -> None:
    """Without this, asyncio logs the exception of a future that is never awaited."""
    if not opened.cancelled():
        opened.exception()
