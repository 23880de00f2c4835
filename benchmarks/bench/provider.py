"""A model provider as cheap as it can be, in a process of its own, which prints its port.

It speaks OpenAI's chat completions as OpenAI does: one event of the documented shape per token, each in an HTTP chunk
and a write of its own, so that each is a packet of its own where the reader keeps up. Unpaced it writes the answer in
one go, as far as the connection takes it: the next read of a busy server finds many tokens.
"""

import asyncio
import json
import socket
import sys
from typing import Final, cast

from benchmarks.bench.script import Script, stamp

_HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_CHUNK: Final = (
    b'{"id":"chatcmpl-C8b3fLKHJ9mEoYqzW5uTn2RdVa17x","object":"chat.completion.chunk","created":1763836800,'
    b'"model":"gpt-4.1-mini-2025-04-14","service_tier":"default","system_fingerprint":"fp_44709d6fcb",'
)
_BEFORE: Final = b"data: " + _CHUNK + b'"choices":[{"index":0,"delta":{"content":"'
_AFTER: Final = b'"},"logprobs":null,"finish_reason":null}]}\n\n'
_SIZE: Final = b"%x\r\n" % len(_BEFORE + stamp() + _AFTER)
_LAST: Final = (
    b"data: " + _CHUNK + b'"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]}\n\n',
    b"data: " + _CHUNK + b'"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}\n\n',
    b"data: [DONE]\n\n",
)
_END: Final = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in _LAST) + b"0\r\n\r\n"


class Provider(asyncio.Protocol):
    """One connection; one question after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._script = Script(tokens=0)
        self._said = 0
        self._next_at = 0.0
        self._is_held = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._is_held = True
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._received = b""
            self._script, self._said = Script.read(last_words(json.loads(body))), 0
            self._transport.write(_HEAD)
            self._next_at = self._loop.time()
            self._go_on()

    def _go_on(self) -> None:
        if self._script.pause_s:
            self._say_in_time()
        else:
            self._say_at_once()

    def _say_at_once(self) -> None:
        while self._said < self._script.tokens:
            if self._is_held:
                return
            self._say()
        self._end()

    def _say_in_time(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._is_held:
            return
        if self._said == self._script.tokens:
            self._end()
            return
        self._say()
        self._next_at += self._script.pause_s
        self._timer = self._loop.call_at(self._next_at, self._say_in_time)

    def _say(self) -> None:
        self._said += 1
        self._transport.write(b"%b%b%b%b\r\n" % (_SIZE, _BEFORE, stamp(), _AFTER))

    def _end(self) -> None:
        if self._said >= 0:
            self._said = -1
            self._script = Script(tokens=-1)
            self._transport.write(_END)


def last_words(body: dict[str, list[dict[str, object]]]) -> str:
    """The question itself, whatever the agent put before it."""
    return str(body["messages"][-1]["content"])


async def main() -> None:
    """On asyncio's loop: uvloop joins the writes of one turn of the loop into one packet."""
    server = await asyncio.get_running_loop().create_server(
        Provider, "127.0.0.1", 0, family=socket.AF_INET, backlog=4096
    )
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
