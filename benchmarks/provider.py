"""What both scripted providers share: one connection that reads a question and writes an answer as chunks.

A provider runs in a process of its own, prints its port, and speaks OpenAI's streamed chat completions over HTTP/1.1.
"""

import asyncio
import json
import socket
import sys
from typing import Any, Final, cast

HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class QuestionProtocol(asyncio.Protocol):
    """Calls `asked` with the last message of each request. `is_held`: the connection takes no more for now."""

    def __init__(self) -> None:
        self.is_held = False
        self.timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's class does not say so

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_held = True
        if self.timer is not None:
            self.timer.cancel()

    def pause_writing(self) -> None:
        self.is_held = True

    def resume_writing(self) -> None:
        self.is_held = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._received = b""
            self.asked(last_message(json.loads(body)))

    def asked(self, question: str) -> None:
        raise NotImplementedError


def last_message(body: dict[str, Any]) -> str:
    """The question, which follows the agent's own messages and those of earlier turns."""
    return str(body["messages"][-1]["content"])


async def serve(protocol: type[QuestionProtocol]) -> None:
    """Print the port, then serve until the process is killed."""
    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, family=socket.AF_INET, backlog=4096
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()
