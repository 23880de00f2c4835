"""A resource that is entered and left by one task of its own.

anyio's cancel scopes, which every MCP client is made of, must be left by the task that entered them; a run has many
tasks, and any of them may be cancelled. https://anyio.readthedocs.io/en/stable/cancellation.html#avoiding-cancel-scope-stack-corruption
"""

import asyncio
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Final, Generic, TypeVar

import structlog

_T = TypeVar("_T")
_GRACE_S: Final = 1.5

_log = structlog.get_logger()


class Kept(Generic[_T]):
    """Entered when it is made; `opened` waits for that. Used from one event loop."""

    def __init__(self, resource: AbstractAsyncContextManager[_T], *, name: str) -> None:
        self.name: Final = name
        self._leave: Final = asyncio.Event()
        self._opened: Final[asyncio.Future[_T]] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(_see)
        # Its own context: it must not hold on to what belongs to the run that happened to need it first.
        self.task: Final = asyncio.create_task(self._keep(resource), name=name, context=Context())

    async def opened(self, timeout_s: float | None = None) -> _T:
        """What entering gave. Raises what entering raised; TimeoutError after `timeout_s`, and then it is left."""
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.shield(self._opened)
        except TimeoutError:
            if not self._opened.done():
                self.task.cancel()
            raise

    async def close(self, grace_s: float = _GRACE_S) -> None:
        """Leave it. Past `grace_s` its task is cancelled, and once more; then it is left behind, with a warning."""
        self._leave.set()
        if not self._opened.done():
            self.task.cancel()
        for _ in range(3):
            await asyncio.wait({self.task}, timeout=grace_s)
            if self.task.done():
                return
            self.task.cancel()
        _log.warning("tool_left_behind", tool=self.name)

    async def _keep(self, resource: AbstractAsyncContextManager[_T]) -> None:
        try:
            async with resource as value:
                if not self._opened.done():
                    self._opened.set_result(value)
                await self._leave.wait()
        except asyncio.CancelledError:
            self._fail(RuntimeError("it ended before it was open"))
        except BaseException as exc:  # anyio's groups hold whatever was raised; nobody else is told
            if self._opened.done():
                _log.debug("tool_ended", tool=self.name, error=_named(exc))  # its frames hold secrets
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        if not self._opened.done():
            self._opened.set_exception(exc)


def _named(exc: BaseException) -> str:
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return type(exc).__name__


def _see(opened: asyncio.Future[_T]) -> None:
    """asyncio need not report its exception as forgotten."""
    if not opened.cancelled():
        opened.exception()
