"""Ctrl-C in a command that has something to end: the first ends it properly, a second one does not wait for that."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, Final, TypeVar

EXIT_INTERRUPTED: Final = 130
_ENDING_S: Final = 5.0

_T = TypeVar("_T")


async def until_interrupted(work: Coroutine[Any, Any, _T]) -> _T | None:
    """What it returns; None where it was cancelled by SIGINT or SIGTERM. What it leaves behind, such as a tool's
    thread, has some seconds after that; then the process ends. In the main thread."""
    loop, task, is_told = asyncio.get_running_loop(), asyncio.ensure_future(work), False

    def on_signal(_: int, __: FrameType | None) -> None:
        nonlocal is_told
        if is_told:
            os._exit(EXIT_INTERRUPTED)
        is_told = True
        last_resort = threading.Timer(_ENDING_S, os._exit, (EXIT_INTERRUPTED,))
        last_resort.daemon = True
        last_resort.start()
        loop.call_soon_threadsafe(task.cancel)

    former = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    await asyncio.wait({task})
    if task.cancelled() or is_told:
        return None  # and a second signal still counts
    for number, handler in former.items():
        signal.signal(number, handler)
    return task.result()
