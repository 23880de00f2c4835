"""What a person does at the terminal during a run: press Ctrl-C, and answer a team that asks."""

import asyncio
import os
import signal
import threading
from collections.abc import Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any, Final, TypeVar

EXIT_INTERRUPTED: Final = 130
_ENDING_S: Final = 5.0
_READ_BYTES: Final = 64 * 1024
_STDIN: Final = 0

_T = TypeVar("_T")


async def until_interrupted(work: Coroutine[Any, Any, _T]) -> _T | None:
    """Return the result of `work`, or None if SIGINT or SIGTERM cancelled it. To be called in the main thread.

    After the first signal the process has five seconds to end, since a tool's thread may go on for longer. A second
    signal ends it at once.
    """
    loop, task, is_signalled = asyncio.get_running_loop(), asyncio.ensure_future(work), False

    def on_signal(_: int, __: FrameType | None) -> None:
        nonlocal is_signalled
        if is_signalled:
            os._exit(EXIT_INTERRUPTED)
        is_signalled = True
        last_resort = threading.Timer(_ENDING_S, os._exit, (EXIT_INTERRUPTED,))
        last_resort.daemon = True
        last_resort.start()
        loop.call_soon_threadsafe(task.cancel)

    former = {number: signal.signal(number, on_signal) for number in (signal.SIGINT, signal.SIGTERM)}
    await asyncio.wait({task})
    if task.cancelled() or is_signalled:
        return None  # the handlers stay, so that a second signal still ends the process
    for number, handler in former.items():
        signal.signal(number, handler)
    return task.result()


class Replies:
    """Lines that a person types on stdin.

    A daemon thread does the blocking read. asyncio would wait at exit for a thread of its own executor, and so for the
    person; a daemon thread delays neither a cancellation nor the end of the process.
    """

    def __init__(self) -> None:
        self._received = b""

    async def next(self) -> str | None:
        """Return the next line that is not empty; None at the end of the input."""
        while True:
            line, ended, rest = self._received.partition(b"\n")
            if ended or (line and await self._is_at_end()):
                self._received = rest
                if text := line.decode("utf-8", "replace").strip():
                    return text
            elif not line and await self._is_at_end():
                return None

    async def _is_at_end(self) -> bool:
        piece = await self._read()
        self._received += piece
        return not piece

    async def _read(self) -> bytes:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()

        def read() -> None:
            try:
                piece = os.read(_STDIN, _READ_BYTES)
            except OSError:  # the terminal was closed
                piece = b""
            with suppress(RuntimeError):  # the loop is closed: the command has ended
                loop.call_soon_threadsafe(hand_over, piece)

        def hand_over(piece: bytes) -> None:
            if not answer.cancelled():
                answer.set_result(piece)

        threading.Thread(target=read, name="reply", daemon=True).start()
        return await answer
