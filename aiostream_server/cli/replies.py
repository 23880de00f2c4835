"""What a person says to a team that asks in the middle of its work, line by line from stdin."""

import asyncio
import os
import threading
from contextlib import suppress
from typing import Final

_READ_BYTES: Final = 64 * 1024


class Replies:
    """A read that waits for the person is left to a thread that nobody waits for: whoever is cancelled meanwhile leaves
    at once, and the process may end."""

    def __init__(self, descriptor: int = 0) -> None:
        self._descriptor: Final = descriptor
        self._received = b""

    async def next(self) -> str | None:
        """The next line that is not empty; None at the end of the input."""
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
                piece = os.read(self._descriptor, _READ_BYTES)
            except OSError:  # the terminal was closed
                piece = b""
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(hand_over, piece)

        def hand_over(piece: bytes) -> None:
            if not answer.cancelled():
                answer.set_result(piece)

        threading.Thread(target=read, name="reply", daemon=True).start()
        return await answer
