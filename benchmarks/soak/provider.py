"""A model provider as cheap as it can be, in a process of its own, which prints its port.

It speaks OpenAI's streamed answers over HTTP/1.1 and does what the question says (`plan`).
"""

import asyncio
import json
import sys
import time
from collections import defaultdict
from typing import Final, cast

import uvloop

from benchmarks.soak.plan import Plan

_STREAM: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
_REFUSAL: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 31\r\n\r\n"
    b'{"error":{"message":"refused"}}'
)
_GATE_OPENS_S: Final = 1.0
_IDLE_S: Final = 1.0  # then the connection is closed: what a kept one holds on to is not for ever

_gates: Final[defaultdict[str, list["Provider"]]] = defaultdict(list)


class Provider(asyncio.Protocol):
    """One connection; one question after the other."""

    def __init__(self) -> None:
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None
        self._plan = Plan(tokens=0)
        self._said = 0
        self._next_at = 0.0
        self._transport: asyncio.Transport
        self._is_held = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by its class

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def pause_writing(self) -> None:
        self._is_held = True

    def resume_writing(self) -> None:
        self._is_held = False

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) >= length:
            self._received = b""
            self._answer(Plan.read(_last_words(json.loads(body))))

    def _answer(self, plan: Plan) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._plan, self._said = plan, 0
        if plan.ends == "refused":
            self._transport.write(_REFUSAL)
            self._rest()
            return
        self._transport.write(_STREAM)
        if not plan.gate:
            self.begin(time.monotonic())
            return
        waiting = _gates[plan.gate]
        waiting.append(self)
        if len(waiting) == plan.gate_of:
            opens_at = time.monotonic() + _GATE_OPENS_S
            for place, provider in enumerate(waiting):
                provider.begin(opens_at + plan.pause_s * place / plan.gate_of)
            waiting.clear()

    def begin(self, at: float) -> None:
        """The first token leaves at this time."""
        self._next_at = at
        self._schedule()

    def _schedule(self) -> None:
        delay_s = max(0.0, self._next_at - time.monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._say)

    def _say(self) -> None:
        if self._said == self._plan.tokens:
            self._end()
            return
        if not self._is_held:
            self._said += 1
            self._write(_delta(f"[{self._said}@{time.monotonic():.6f}]".ljust(self._plan.size, ".")))
        self._next_at += self._plan.pause_s
        self._schedule()

    def _end(self) -> None:
        if self._plan.ends == "broken off":
            self._transport.abort()
            return
        self._write(_FINISH)
        self._transport.write(b"0\r\n\r\n")
        self._rest()

    def _rest(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_IDLE_S, self._transport.close)

    def _write(self, event: bytes) -> None:
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))


def _last_words(body: dict[str, list[dict[str, object]]]) -> str:
    """The question itself, whatever the agent put before it."""
    return str(body["messages"][-1]["content"])


def _delta(text: str) -> bytes:
    return b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"%b"},"finish_reason":null}]}\n\n' % text.encode()


_FINISH: Final = (
    b'data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
    b'data: {"id":"c","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}\n\n'
    b"data: [DONE]\n\n"
)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Provider, "127.0.0.1", 0, backlog=4096)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
