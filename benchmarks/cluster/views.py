"""Streams of a run's events, as a client sees them: one protocol object each, which keeps every event as it came."""

import asyncio
import json
import re
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from benchmarks.soak.client import request
from benchmarks.soak.provider import Plan

_STAMP: Final = re.compile(rb"\[(\d+)@([\d.]+)\]")
_HEAD_END: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Seen:
    """An event; `came` is the time (monotonic) of its arrival, and `left` that at which a token left the provider."""

    number: int
    kind: str
    data: bytes
    came: float

    @property
    def left(self) -> float | None:
        found = _STAMP.search(self.data) if self.kind == "token" else None
        return None if found is None else float(found[2])

    @property
    def body(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.data)
        return told


class View(asyncio.Protocol):
    """`ended` is done when the connection is, whether the stream is whole or not."""

    def __init__(self, asked: bytes) -> None:
        loop = asyncio.get_running_loop()
        self.seen: list[Seen] = []
        self.status = 0
        self.head: Mapping[str, str] = {}
        self.is_whole = False
        self.ended_at = 0.0
        self.begun: asyncio.Future[None] = loop.create_future()
        self.spoken: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._asked = asked
        self._received = b""
        self._block = b""
        self._transport: asyncio.Transport

    @property
    def run_id(self) -> str:
        return self.head.get("x-run-id", "")

    @property
    def last(self) -> int:
        return self.seen[-1].number if self.seen else 0

    @property
    def reason(self) -> str:
        """That of the run's end; empty where the stream has none."""
        return str(self.seen[-1].body["reason"]) if self.seen and self.seen[-1].kind == "run_finished" else ""

    @property
    def is_well_formed(self) -> bool:
        """The run's last event, and then the end of the body."""
        return self.is_whole and bool(self.reason)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's class does not say so
        self._transport.write(self._asked)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if not self.status:
            head, found, rest = self._received.partition(_HEAD_END)
            if not found:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            self.status = int(first.split()[1])
            self.head = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            self._received = rest
            self.begun.set_result(None)
        if self.status == 200:
            self._take_chunks(time.monotonic())

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended_at = time.monotonic()
        for future in (self.begun, self.spoken, self.ended):
            if not future.done():
                future.set_result(None)

    def leave(self) -> None:
        self._transport.abort()

    def _take_chunks(self, now: float) -> None:
        """Those of HTTP that are complete. The one of length 0 ends the body."""
        while True:
            size, found, rest = self._received.partition(b"\r\n")
            if not found or len(rest) < (length := int(size, 16)) + 2:
                return
            self._received = rest[length + 2 :]
            if not length:
                self.is_whole = not self._block
                return
            *blocks, self._block = (self._block + rest[:length]).split(b"\n\n")
            for block in blocks:
                self._take(block, now)

    def _take(self, block: bytes, now: float) -> None:
        """A block is an event, or a heartbeat or `retry`."""
        if not block.startswith(b"event: "):
            return
        kind, number, data = (line.partition(b": ")[2] for line in block.split(b"\n"))
        self.seen.append(Seen(int(number), kind.decode(), data, now))
        if kind == b"token" and not self.spoken.done():
            self.spoken.set_result(None)


async def open_view(port: int, asked: bytes, *, host: str = "127.0.0.1") -> View:
    _, view = await asyncio.get_running_loop().create_connection(lambda: View(asked), host, port)
    return view


async def start_run(port: int, plan: Plan, *headers: str, host: str = "127.0.0.1", **fields: object) -> View:
    """A run that outlives its client, and the stream of its events."""
    messages = [{"role": "user", "content": plan.question()}]
    body = {"model": "solo", "on_disconnect": "continue", "messages": messages, **fields}
    view = await open_view(port, request("/v1/runs", body, *headers), host=host)
    await view.begun
    return view


async def watch_run(port: int, run_id: str, after: int = 0, *headers: str, host: str = "127.0.0.1") -> View:
    asked = f"GET /v1/runs/{run_id}/events?starting_after={after} HTTP/1.1"
    lines = (asked, "Host: localhost", "Connection: close", *headers, "", "")
    view = await open_view(port, "\r\n".join(lines).encode(), host=host)
    await view.begun
    return view


async def start_runs(port: int, plan: Plan, runs: int, *headers: str, host: str = "127.0.0.1") -> list[View]:
    """Returns when each has begun to speak."""
    views = [await start_run(port, plan, *headers, host=host) for _ in range(runs)]
    await asyncio.gather(*(view.spoken for view in views))
    return views


async def until_ended(views: Iterable[View], within_s: float) -> None:
    """Returns when all have ended, or after so long."""
    waiting = [asyncio.ensure_future(view.ended) for view in views]
    if waiting:
        await asyncio.wait(waiting, timeout=within_s)


def meanings_twice(views: Iterable[View]) -> int:
    """How many numbers of one run mean different events, in what these views have seen."""
    known: dict[int, bytes] = {}
    twice: set[int] = set()
    for view in views:
        for event in view.seen:
            if known.setdefault(event.number, event.data) != event.data and event.kind != "dropped":
                twice.add(event.number)
    return len(twice)


def faults(seen: Sequence[Seen], after: int = 0) -> int:
    """Events that came twice, out of order, or behind a gap that no `dropped` tells."""
    count = 0
    for event in seen:
        first = event.body["first"] if event.kind == "dropped" else event.number
        count += first != after + 1
        after = event.number
    return count
