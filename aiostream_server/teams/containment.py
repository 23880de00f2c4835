"""Keeps an exception that is no `Exception` inside the run that raised it.

asyncio passes SystemExit and KeyboardInterrupt of any task on to the event loop, which then ends, and with it the
server. AutoGen catches `Exception`: whatever else an agent or a tool raises, such as GeneratorExit, leaves its team
waiting for ever. So every task that is created inside of a run raises an error of its team instead:
https://docs.python.org/3/library/asyncio-eventloop.html#asyncio.loop.set_task_factory

The stack of such a task tells which run it belongs to: `work_in` reads it from another thread while a task blocks the
event loop.
"""

import asyncio
import os
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass
from types import CoroutineType, FrameType
from typing import Any, Final
from weakref import WeakSet

import structlog
from autogen_core import AgentId, MessageHandlerContext

from aiostream_server.errors import TeamFailed

_EXITS: Final = (SystemExit, KeyboardInterrupt)

_TEAM: Final = "the team"
_TOOL: Final = "the tool "


@dataclass(slots=True)
class RunLabel:
    """Which run a task belongs to. `team` is None until one is chosen."""

    run_id: str
    team: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What a task of a run is doing; None where that is not known."""

    run_id: str | None
    team: str | None
    agent: str | None
    tool: str | None


_run: Final[ContextVar[RunLabel | None]] = ContextVar("run", default=None)
_running: Final[ContextVar[str | None]] = ContextVar("running", default=None)  # "the team", or "the tool NAME"
_loops: Final[WeakSet[asyncio.AbstractEventLoop]] = WeakSet()

_log = structlog.get_logger()


def contain_tasks(run: RunLabel | None = None) -> None:
    """Contain the tasks that are created in the current context from now on, and those that they create."""
    _running.set(_TEAM)
    _run.set(run)
    loop = asyncio.get_running_loop()
    if loop not in _loops:
        _loops.add(loop)
        loop.set_task_factory(_Factory(loop.get_task_factory()))


@contextmanager
def running(what: str) -> Iterator[None]:
    """Tasks that are created in this block are named so."""
    token = _running.set(what)
    try:
        yield
    finally:
        with suppress(ValueError):  # the block belongs to a coroutine that is closed from another context
            _running.reset(token)


def converted(exc: BaseException, what: str | None = None, error: type[TeamFailed] = TeamFailed) -> TeamFailed:
    """The error to raise in place of an exception that is no `Exception`. Logs what raised it.

    In a process that a tool has forked it does not return: that process ends, as it wants to.
    """
    end_fork(exc)
    culprit, name = what or _culprit(), type(exc).__name__
    _log.warning("base_exception_contained", raised_by=culprit, exception=name)
    return error(
        f"{culprit} tried to end the server ({name})" if isinstance(exc, _EXITS) else f"{culprit} raised {name}"
    )


def cancelled_from_inside(what: str | None = None, error: type[TeamFailed] = TeamFailed) -> TeamFailed:
    """The error to raise in place of a CancelledError that comes from the team itself. Logs what raised it."""
    culprit = what or _culprit()
    _log.warning("base_exception_contained", raised_by=culprit, exception="CancelledError")
    return error(f"{culprit} was cancelled from inside")


def work_in(frame: FrameType | None) -> Work | None:
    """What a stack belongs to, of which this is the innermost frame; None for code outside of runs."""
    while frame is not None:
        task = frame.f_locals.get("self") if frame.f_code in _STEPS else None
        if isinstance(task, _Contained):
            return work_of(task.context)
        frame = frame.f_back
    return None


def work_of(context: Context) -> Work:
    """What the task or thread with this context is doing."""
    run, what = context.get(_run), context.get(_running) or _TEAM
    agent = next((value for value in context.values() if isinstance(value, AgentId)), None)
    return Work(
        None if run is None else run.run_id,
        None if run is None else run.team,
        None if agent is None else name_of(agent),
        what.removeprefix(_TOOL) if what.startswith(_TOOL) else None,
    )


def end_fork(exc: BaseException) -> None:
    """End this process if it was forked from a running event loop: it must not serve with the sockets of its parent."""
    try:
        asyncio.get_running_loop()  # knows the process that it runs in
    except RuntimeError:
        status = exc.code if isinstance(exc, SystemExit) else 1
        os._exit(status if isinstance(status, int) else int(status is not None))


def _culprit() -> str:
    what = _running.get() or _TEAM
    if what != _TEAM:
        return what
    try:
        return name_of(MessageHandlerContext.agent_id())
    except RuntimeError:  # no handler of AutoGen's runtime
        return what


def name_of(agent: AgentId) -> str:
    """The agent's own name: AutoGen puts a number behind it."""
    return agent.type.rsplit("_", 1)[0]


class _Factory:
    """Makes tasks with the loop's former factory. The coroutine of a task inside of a run is wrapped."""

    def __init__(self, former: Any) -> None:
        self._former: Final = former

    def __call__(self, loop: asyncio.AbstractEventLoop, coro: Any, **named: Any) -> Any:
        context: Context | None = named.get("context")
        what = _running.get() if context is None else context.get(_running)
        if what is not None and (type(coro) is CoroutineType or asyncio.iscoroutine(coro)):
            if context is None:
                context = named["context"] = copy_context()
            coro = _Contained(coro, context)
        if self._former is not None:
            return self._former(loop, coro, **named)
        return asyncio.Task(coro, loop=loop, **named)


class _Contained(Coroutine[Any, Any, Any]):
    """A coroutine that raises `TeamFailed` for an exception that is no `Exception`.

    It is no `async def`: a task that is cancelled before its first step would warn that the inner one was not awaited.
    """

    __slots__ = ("_inner", "context")

    def __init__(self, inner: Coroutine[Any, Any, Any], context: Context) -> None:
        """`context` is that of its task."""
        self._inner = inner
        self.context = context

    def send(self, value: Any) -> Any:
        try:
            return self._inner.send(value)
        except (Exception, asyncio.CancelledError):  # StopIteration, with the result, is one
            raise
        except BaseException as exc:
            raise converted(exc) from exc

    def throw(self, *error: Any) -> Any:
        try:
            return self._inner.throw(*error)
        except (Exception, asyncio.CancelledError):
            raise
        except BaseException as exc:
            raise converted(exc) from exc
        finally:
            del error  # its traceback holds this frame: a reference cycle, with all that the run has

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Any:
        return self._inner.__await__()

    def __getattr__(self, name: str) -> Any:
        """`cr_frame`, `__qualname__` and the like, for the task's `repr` and its stack."""
        return getattr(self._inner, name)


_STEPS: Final = (_Contained.send.__code__, _Contained.throw.__code__)
