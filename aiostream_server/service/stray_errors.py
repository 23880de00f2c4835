"""Errors that no caller sees: of threads, of `__del__`, and of functions whose result the event loop cannot pass on.

Python writes those of threads and of `__del__` as tracebacks to stderr, between the lines of the log. They are logged,
with their place. Python 3.11 cannot set a StopIteration on a future of asyncio (https://bugs.python.org/issue26221):
a caller that awaits a function which raises one, in a thread pool of a user's own, would wait for ever.
"""

import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from traceback import walk_tb
from typing import Any, Final

import structlog

from aiostream_server.teams.factories import place_of_error

_PASSES_ON: Final = "_copy_future_state"  # of asyncio.futures; its variable `dest` is the future that is awaited

_log = structlog.get_logger()


@contextmanager
def telling_stray_errors() -> Iterator[None]:
    """Call it in the running event loop."""
    loop = asyncio.get_running_loop()
    of_objects, of_threads, of_loop = sys.unraisablehook, threading.excepthook, loop.get_exception_handler()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, TypeError) and _fail_awaited(error):
            return
        if of_loop is not None:
            of_loop(loop, context)
        else:
            loop.default_exception_handler(context)

    sys.unraisablehook, threading.excepthook = _tell_of_object, _tell_of_thread
    loop.set_exception_handler(handle)
    try:
        yield
    finally:
        sys.unraisablehook, threading.excepthook = of_objects, of_threads
        loop.set_exception_handler(of_loop)


def _fail_awaited(error: TypeError) -> bool:
    """Whether the error says that a future could not be given an exception, and it has another one now."""
    for frame, _ in walk_tb(error.__traceback__):
        if frame.f_code.co_name == _PASSES_ON and isinstance(awaited := frame.f_locals.get("dest"), asyncio.Future):
            if not awaited.done():
                awaited.set_exception(RuntimeError("the function raised StopIteration"))
            return True
    return False


def _tell_of_object(unraisable: "sys.UnraisableHookArgs") -> None:
    """`__del__`, a callback of a weak reference, or an iterator that is closed."""
    error = unraisable.exc_value
    _log.warning(
        "error_ignored",
        error=unraisable.exc_type.__name__,
        place=None if error is None else place_of_error(error),
        raised_by=getattr(unraisable.object, "__qualname__", None) or type(unraisable.object).__qualname__,
    )


def _tell_of_thread(failed: threading.ExceptHookArgs) -> None:
    if failed.exc_type is SystemExit:
        return  # it ends the thread, as always
    error = failed.exc_value
    _log.warning(
        "thread_failed",
        error=failed.exc_type.__name__,
        place=None if error is None else place_of_error(error),
        thread=None if failed.thread is None else failed.thread.name,
    )
