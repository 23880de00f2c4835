"""What a configured tool provides and returns, and the resources that one run has open, which close when it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from contextvars import Context
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

import structlog
from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, Workbench

from aiostream_server.config.problem_text import did_you_mean
from aiostream_server.errors import ConfigError

RequestedTool: TypeAlias = str | BaseTool[Any, Any] | Callable[..., object]
"""The name of a `[tools.NAME]`, an AutoGen tool, or a function with type hints and a docstring."""

_T = TypeVar("_T")
_EXIT_TIMEOUT_S: Final = 1.5

_log = structlog.get_logger()


class ConfiguredTool(Protocol):
    """One `[tools.NAME]`. The defaults suit a tool without anything that runs share."""

    def workbench(self, scope: "RunScope") -> Workbench:
        """The workbench for one run. `scope` closes what it opens."""
        ...

    def begin(self) -> None:
        """Begin to open what all runs share, without waiting for it."""
        return

    async def problem(self) -> str | None:
        """Why the tool cannot be used, in one line for the server's operator; None where it can."""
        return None

    @property
    def notes(self) -> Sequence[str]:
        """What an operator should know of it, one line each, once `problem` has found none."""
        return ()

    async def close(self) -> None:
        """Close what all runs share."""
        return


class RunScope:
    """Made for one run, or for a team that is only built. Opens a tool when it is first requested."""

    def __init__(self, tools: "dict[str, ConfiguredTool] | None" = None) -> None:
        self._tools: Final = tools or {}
        self._workbenches: Final[dict[str, Workbench]] = {}
        self._closers: Final[list[Callable[[], Awaitable[object]]]] = []
        self._is_closed = False

    def workbenches(self, names: Iterable[str], requested: Iterable[RequestedTool]) -> list[Workbench]:
        """The workbenches of the requested tools; without a request, of all `names`, the tools of the team.

        Raises `ConfigError` for a name that is not in `names`, or not configured.
        """
        allowed = tuple(names)
        chosen = tuple(requested) or allowed
        found = [self._workbench(item, allowed) for item in chosen if isinstance(item, str)]
        own = [
            item if isinstance(item, BaseTool) else FunctionTool(item, description=(item.__doc__ or "").strip())
            for item in chosen
            if not isinstance(item, str)
        ]
        return [*found, StaticWorkbench(own)] if own else found

    async def open(self, resource: AbstractAsyncContextManager[_T]) -> _T:
        """Enter the resource, in a task of its own, until the run ends. Raises what entering it raises."""
        self._refuse_when_closed()
        task = ResourceTask(resource, name=type(resource).__name__)
        self.on_close(task.close)
        return await task.opened()

    def on_close(self, close: Callable[[], Awaitable[object]]) -> None:
        """Call `close` when the run ends. Raises RuntimeError when it has ended already."""
        self._refuse_when_closed()
        self._closers.append(close)

    def end_at_once(self) -> bool:
        """Close at once where nothing is open, and return whether that was so."""
        self._is_closed = self._is_closed or not self._closers
        return not self._closers

    async def close(self) -> None:
        """Close everything concurrently. Failures are logged."""
        closers, self._closers[:] = tuple(self._closers), ()
        self._is_closed = True
        for failure in await asyncio.gather(*(close() for close in closers), return_exceptions=True):
            if isinstance(failure, Exception):
                _log.warning("tool_not_closed", error=type(failure).__name__)  # a traceback could show secrets

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the run has ended: nothing more is opened for it")

    def _workbench(self, name: str, allowed: tuple[str, ...]) -> Workbench:
        if name not in allowed:
            raise ConfigError([f'the team has no tool "{name}" in its `tools`{did_you_mean(name, allowed)}'])
        if name not in self._workbenches:
            self._workbenches[name] = self._tools[name].workbench(self)
        return self._workbenches[name]


class ResourceTask(Generic[_T]):
    """A task that enters an async context manager at once, and leaves it again. Used from one event loop.

    MCP clients consist of anyio's cancel scopes, which must be left by the task that entered them. A run has many
    tasks, and any of them may be cancelled, so the resource gets a task of its own.
    https://anyio.readthedocs.io/en/stable/cancellation.html#avoiding-cancel-scope-stack-corruption
    """

    def __init__(self, resource: AbstractAsyncContextManager[_T], *, name: str) -> None:
        self.name: Final = name
        self._leave: Final = asyncio.Event()
        self._opened: Final[asyncio.Future[_T]] = asyncio.get_running_loop().create_future()
        self._opened.add_done_callback(mark_as_retrieved)
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
                _log.debug(
                    "tool_ended", tool=self.name, error=type(first_of(exc)).__name__
                )  # a traceback could show secrets
            self._fail(exc)

    def _fail(self, exc: BaseException) -> None:
        if not self._opened.done():
            self._opened.set_exception(exc)


def first_of(exc: BaseException) -> BaseException:
    """Unwraps groups of errors, such as anyio's."""
    while isinstance(exc, BaseExceptionGroup):
        exc = exc.exceptions[0]
    return exc


def mark_as_retrieved(opened: asyncio.Future[_T]) -> None:
    """Keeps asyncio from logging the exception of a future that is never awaited."""
    if not opened.cancelled():
        opened.exception()


def limited(text: str, byte_limit: int) -> str:
    """The text cut to `byte_limit` bytes of UTF-8, with the number of bytes that were left out."""
    content = text.encode("utf-8", "replace")
    if len(content) <= byte_limit:
        return text
    left_out = len(content) - byte_limit
    return f"{content[:byte_limit].decode('utf-8', 'ignore')}\n… ({left_out} more bytes left out)"
