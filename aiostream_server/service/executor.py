"""The event loop's default executor, for `asyncio.to_thread` and for tools that are plain functions.

C code in such a function may hold Python's lock, and the event loop waits for it. `busiest_call` tells which one it is.
"""

import functools
import inspect
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import Context, copy_context
from types import FrameType
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

from aiostream_server.service.stacks import told, told_frames
from aiostream_server.teams.autogen_private.contained import for_a_thread
from aiostream_server.teams.containment import Work, work_of

_P = ParamSpec("_P")
_T = TypeVar("_T")

_LONG_S: Final = 0.05  # of processor time
_REMEMBERED: Final = 16


class ThreadCall(NamedTuple):
    """A call of a function in a thread, and the task's work that it belongs to. The innermost frame is the last one."""

    identity: object
    cpu_s: float
    work: Work
    stack: Sequence[str]
    ended_at: float = 0.0


_ended: Final[deque[ThreadCall]] = deque(maxlen=_REMEMBERED)


class Executor(ThreadPoolExecutor):
    def submit(self, function: Callable[_P, _T], /, *args: _P.args, **named: _P.kwargs) -> "Future[_T]":
        return super().submit(_call, for_a_thread(function), copy_context(), args, named)


def busiest_call(since: float) -> ThreadCall | None:
    """The one that has taken most processor time, of those that run now or have ended since this monotonic time.

    It does not give up Python's lock.
    """
    ended = _ended.copy()  # in one step: threads append meanwhile, which ends an iteration with an error
    calls = [*_running(), *(call for call in ended if call.ended_at >= since)]
    return max(calls, default=None, key=lambda call: call.cpu_s)


def _running() -> Iterator[ThreadCall]:
    for thread_id, innermost in sys._current_frames().items():  # noqa: SLF001 - the documented way to the stacks
        at: FrameType | None = innermost
        while at is not None and at.f_code is not _call.__code__:
            at = at.f_back
        if at is not None and "began_s" in at.f_locals:
            # The thread lives: those of the executor end with the process.
            cpu_s = time.clock_gettime(time.pthread_getcpuclockid(thread_id))
            context, began_s = at.f_locals["context"], at.f_locals["began_s"]
            yield ThreadCall(context, cpu_s - began_s, work_of(context), told_frames(innermost))


def _call(function: Callable[..., _T], context: Context, args: tuple[Any, ...], named: dict[str, Any]) -> _T:
    began_s = time.thread_time()
    try:
        return function(*args, **named)
    finally:
        cpu_s = time.thread_time() - began_s
        if cpu_s >= _LONG_S:  # what is remembered holds neither the function nor the context
            _ended.append(ThreadCall(object(), cpu_s, work_of(context), (_place(function),), time.monotonic()))


def _place(function: Callable[..., Any]) -> str:
    at: Any = inspect.unwrap(function)  # a function, a partial, or an object of any class with __call__
    while isinstance(at, functools.partial):
        at = inspect.unwrap(at.args[0] if getattr(at.func, "__name__", "") == "run" and at.args else at.func)
    code = getattr(at, "__code__", None)
    return repr(type(at)) if code is None else told(code, code.co_firstlineno)
