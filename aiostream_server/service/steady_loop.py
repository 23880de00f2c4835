"""Runs the server's coroutine to its end, whatever the code of teams and tools does to the event loop.

Teams contain what their tasks raise (`teams.containment`). What is left is code that no task runs, and code that means
harm without knowing: a callback that calls `sys.exit()` stops the loop, and so does `loop.stop()`. The loop is started
again then: it loses no callback, no connection and no task. And `for task in asyncio.all_tasks(): task.cancel()` finds
no task of the server, because they are unregistered:
https://docs.python.org/3/library/asyncio-extending.html#task-lifetime-support
"""

import asyncio
import gc
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any, Final

import structlog

from aiostream_server.service.executor import Executor
from aiostream_server.teams.factories import place_of_error

_STOPPED: Final = "Event loop stopped before Future completed."  # of `run_until_complete`, in asyncio and uvloop

_log = structlog.get_logger()


def run_to_its_end(
    serving: Coroutine[Any, Any, None], loop_factory: "Callable[[], asyncio.AbstractEventLoop] | None" = None
) -> None:
    """Like `asyncio.run`. Raises what the coroutine raises."""
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        loop = runner.get_loop()
        loop.set_task_factory(_make_hidden)
        loop.set_default_executor(Executor(thread_name_prefix="asyncio"))
        task = loop.create_task(serving, name="serve")
        try:
            _run_until_done(loop, task)
        finally:
            loop.set_task_factory(None)
            loop.run_until_complete(_end_hidden())


def _run_until_done(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    pid = os.getpid()
    while not task.done():
        # A visible task that is cancelled is no reason to end, either. anyio takes it for the root of all tasks.
        waiting = asyncio.Task(_wait(task), loop=loop, name="main")
        try:
            loop.run_until_complete(waiting)
        except asyncio.CancelledError:
            _log.warning("event_loop_survived", cause="a cancellation of all tasks")
        except (SystemExit, KeyboardInterrupt) as exc:
            if os.getpid() != pid:
                os._exit(1)  # a process that a callback has forked must not serve with the sockets of its parent
            if isinstance(exc, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
                raise  # Ctrl-C, before the server handles it
            if not task.done():
                name, place = type(exc).__name__, place_of_error(exc)
                _log.warning("event_loop_survived", cause=f"{name} in a callback", place=place)
        except RuntimeError as exc:
            if str(exc) != _STOPPED:
                raise
            _log.warning("event_loop_survived", cause="a call of loop.stop()")
        finally:
            waiting.cancel()
    task.result()


async def _wait(task: asyncio.Task[None]) -> None:
    await asyncio.wait({task})


def _make_hidden(loop: asyncio.AbstractEventLoop, coro: Any, **named: Any) -> asyncio.Task[Any]:
    """A task factory. `asyncio.all_tasks()` does not find its tasks."""
    task = asyncio.Task(coro, loop=loop, **named)  # `Any`: asyncio's own types of a factory differ by version
    asyncio._unregister_task(task)  # noqa: SLF001 - a documented name
    return task


async def _end_hidden() -> None:
    """Cancel those that are left, as `asyncio.run` does with those that it finds.

    They are searched among all objects: a set of them would take 1 KiB of each live stream.
    """
    gc.unfreeze()  # frozen objects are not listed
    loop, own = asyncio.get_running_loop(), asyncio.current_task()
    tasks = (thing for thing in gc.get_objects() if type(thing) is asyncio.Task)
    left = [task for task in tasks if task is not own and task.get_loop() is loop and not task.done()]
    for task in left:
        task.cancel()
    await asyncio.gather(*left, return_exceptions=True)
