"""What one run has open: closed when the run has ended, however it did."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol, TypeVar

import structlog
from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, Workbench

from aiostream_server.config.problem_text import did_you_mean
from aiostream_server.errors import ConfigError
from aiostream_server.teams.tools.kept import Kept
from aiostream_server.teams.tools.wanted import Wanted

_T = TypeVar("_T")

_log = structlog.get_logger()


class Tool(Protocol):
    """One `[tools.NAME]`."""

    def workbench(self, scope: "RunScope") -> Workbench:
        """For one run; what it opens for that, `scope` closes."""
        ...

    def begin(self) -> None:
        """Open what is shared by all runs, without waiting."""
        ...

    async def problem(self) -> str | None:
        """Why it cannot be used, in one line for whoever runs the server; None where it can."""
        ...

    async def close(self) -> None:
        """What is shared by all runs."""
        ...


class RunScope:
    """Made for a run, or for a team that is only built. Nothing is opened before it is needed."""

    def __init__(self, tools: "dict[str, Tool] | None" = None) -> None:
        self._tools: Final = tools or {}
        self._workbenches: Final[dict[str, Workbench]] = {}
        self._closers: Final[list[Callable[[], Awaitable[object]]]] = []
        self._is_closed = False

    def workbenches(self, names: Iterable[str], wanted: Iterable[Wanted]) -> list[Workbench]:
        """Those of `wanted`, which must be among `names`; without any, all of `names`. Functions and AutoGen tools
        may stand among them. Raises `ConfigError`, which says what there is."""
        allowed = tuple(names)
        chosen = tuple(wanted) or allowed
        found = [self._workbench(item, allowed) for item in chosen if isinstance(item, str)]
        own = [item if isinstance(item, BaseTool) else _function(item) for item in chosen if not isinstance(item, str)]
        return [*found, StaticWorkbench(own)] if own else found

    async def open(self, resource: AbstractAsyncContextManager[_T]) -> _T:
        """Enter it, in a task of its own, until the run has ended. Raises what entering it raises."""
        self._refuse_when_closed()
        kept = Kept(resource, name=type(resource).__name__)
        self.on_close(kept.close)
        return await kept.opened()

    def on_close(self, close: Callable[[], Awaitable[object]]) -> None:
        """Raises RuntimeError when the run has ended."""
        self._refuse_when_closed()
        self._closers.append(close)

    def end_at_once(self) -> bool:
        """Where there is nothing to close, that was all."""
        self._is_closed = self._is_closed or not self._closers
        return not self._closers

    async def close(self) -> None:
        """Everything at once; what cannot be closed is told in the log."""
        closers, self._closers[:] = tuple(self._closers), ()
        self._is_closed = True
        for failure in await asyncio.gather(*(close() for close in closers), return_exceptions=True):
            if isinstance(failure, Exception):
                _log.warning("tool_not_closed", error=type(failure).__name__)  # its frames may hold secrets

    def _refuse_when_closed(self) -> None:
        if self._is_closed:
            raise RuntimeError("the run has ended: nothing more is opened for it")

    def _workbench(self, name: str, allowed: tuple[str, ...]) -> Workbench:
        if name not in allowed:
            raise ConfigError([f'the team has no tool "{name}" in its `tools`{did_you_mean(name, allowed)}'])
        if name not in self._tools:
            raise ConfigError([f"there is no [tools.{name}]{did_you_mean(name, list(self._tools))}"])
        if name not in self._workbenches:
            self._workbenches[name] = self._tools[name].workbench(self)
        return self._workbenches[name]


def _function(function: Callable[..., object]) -> FunctionTool:
    return FunctionTool(function, description=(function.__doc__ or "").strip())
