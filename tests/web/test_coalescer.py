"""Coalesced tokens: which arrive together, and when, over real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from aiostream_server.config.model import ServerConfig
from aiostream_server.events import Answer, Event, Message, RunFinished, RunStarted, Token, TokenCount
from aiostream_server.log.memory import MemoryLog
from aiostream_server.observe.observer import NO_OBSERVER
from aiostream_server.present import Page, new_presenter
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.open_webui import PageFrames
from aiostream_server.protocols.chat.stream import ChatFrames
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.middlewares import OBSERVER
from aiostream_server.web.stream import stream_run
from tests.kit.bare_server import bare_stream

COALESCE_S = 0.2
LATE_S = 0.1  # what a busy machine may add, beside what a bare server is late by
END = RunFinished("stop", TokenCount(), 0.1)


@dataclass(frozen=True, slots=True)
class Arrived:
    """A line of a stream that says something, and when it came."""

    at: float
    text: str


@asynccontextmanager
async def viewed(
    say: Callable[[MemoryLog], Awaitable[None]], *, coalesce_s: float = COALESCE_S, heartbeat_s: float = 10.0
) -> AsyncIterator[list[Arrived]]:
    """What a viewer of a run that says that is sent."""
    log = MemoryLog("run")

    async def handle(request: web.Request) -> web.StreamResponse:
        frames = ChatFrames(
            new_presenter("answer", Page()), ChunkEncoder("i", 1, "m"), include_usage=False, page=PageFrames()
        )
        config = ServerConfig(heartbeat_s=heartbeat_s)
        with UntilWritten(log.reader()) as until:
            return until.written(await stream_run(request, {}, until.entered, frames, config, coalesce_s=coalesce_s))

    app = web.Application()
    app[OBSERVER] = NO_OBSERVER
    app.router.add_get("/", handle)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        log.append(RunStarted("m"))
        async with session.get(server.make_url("/")) as response:  # the viewer is there before anything is said
            saying = asyncio.ensure_future(say(log))
            try:
                yield [arrived async for line in response.content if (arrived := _arrived(line))]
            finally:
                saying.cancel()
                with suppress(asyncio.CancelledError):
                    await saying


def _arrived(line: bytes) -> Arrived | None:
    now = time.monotonic()
    if line.startswith(b":"):
        return Arrived(now, ":")
    if line.startswith(b"data: {"):
        body = json.loads(line[6:])
        if text := "".join(choice["delta"].get("content", "") for choice in body.get("choices", ())):
            return Arrived(now, text)
    return None


def tokens(arrived: list[Arrived]) -> list[Arrived]:
    return [each for each in arrived if each.text != ":"]


async def test_quick_tokens_come_together_and_none_late() -> None:
    left: list[float] = []

    async def say(log: MemoryLog) -> None:
        for number in range(100):
            left.append(time.monotonic())
            log.append(Token("A", f"w{number} ", "final"))
            await asyncio.sleep(0.01)
        log.append(END)

    async with bare_stream() as bare, viewed(say) as arrived:
        pass
    times = [each.at for each in tokens(arrived) for _ in each.text.split()]
    assert "".join(each.text for each in tokens(arrived)) == "".join(f"w{number} " for number in range(100))
    assert len(tokens(arrived)) <= (left[-1] - left[0]) / COALESCE_S + 3 < 100
    late = sorted(there - went for went, there in zip(left, times, strict=True))
    assert late[-1] < COALESCE_S + LATE_S + 5 * bare.worst_s
    gaps = [later.at - earlier.at for earlier, later in pairwise(tokens(arrived)[:-1])]
    assert min(gaps) > COALESCE_S - LATE_S - 5 * bare.worst_s


@pytest.mark.parametrize(("chars", "interval_s"), [(18_000, 0.25), (36_000, 0.47)])
async def test_the_interval_grows_with_the_answer(chars: int, interval_s: float) -> None:
    """The page renders all of it again at each write."""

    async def say(log: MemoryLog) -> None:
        log.append(Token("A", "x" * chars, "final"))
        for number in range(int(240 * interval_s)):
            await asyncio.sleep(0.01)
            log.append(Token("A", f"w{number} ", "final"))
        log.append(END)

    async with bare_stream() as bare, viewed(say, coalesce_s=0.05) as arrived:
        later = tokens(arrived)[-4:-1]  # the end releases what waits
    assert min(after.at - before.at for before, after in pairwise(later)) > 0.7 * interval_s - 5 * bare.worst_s


async def test_a_lone_token_is_not_held() -> None:
    left: list[float] = []

    async def say(log: MemoryLog) -> None:
        for _ in range(3):
            await asyncio.sleep(1.5 * COALESCE_S)
            left.append(time.monotonic())
            log.append(Token("A", "w ", "final"))
        await asyncio.sleep(1.5 * COALESCE_S)
        log.append(END)

    async with bare_stream() as bare, viewed(say) as arrived:
        late = [there.at - went for went, there in zip(left, tokens(arrived), strict=True)]
    assert max(late) < LATE_S + 5 * bare.worst_s


async def test_what_is_no_token_goes_at_once_with_what_waits() -> None:
    left: list[float] = []

    async def say(log: MemoryLog) -> None:
        await asyncio.sleep(0.1)
        events: list[Event] = [Token("A", "a ", "final"), Token("A", "b ", "final")]
        for event in (*events, Message("A", "a b ", streamed=True), Answer("A", "c")):
            log.append(event)
            await asyncio.sleep(0.01)
        left.append(time.monotonic())
        log.append(END)

    async with viewed(say, coalesce_s=5.0) as arrived:
        assert [each.text for each in tokens(arrived)] == ["a ", "b ", "\n\nc"]
        assert tokens(arrived)[-1].at - left[0] < 2.5


async def test_much_does_not_wait() -> None:
    async def say(log: MemoryLog) -> None:
        for _ in range(3):
            log.append(Token("A", "x" * 4_000, "final"))
            await asyncio.sleep(0.05)
        log.append(END)

    async with viewed(say, coalesce_s=5.0) as arrived:
        times = [each.at for each in tokens(arrived)]
        assert len(times) == 3
        assert times[-1] - times[0] < 2.5


async def test_without_an_interval_each_goes_when_it_comes() -> None:
    async def say(log: MemoryLog) -> None:
        for _ in range(10):
            log.append(Token("A", "x", "final"))
            await asyncio.sleep(0.01)
        log.append(END)

    async with viewed(say, coalesce_s=0.0) as arrived:
        assert len(tokens(arrived)) == 10


async def test_silence_is_still_broken_by_comments() -> None:
    async def say(log: MemoryLog) -> None:
        log.append(Token("A", "x", "final"))
        await asyncio.sleep(1.0)
        log.append(END)

    async with viewed(say, heartbeat_s=0.1) as arrived:
        silent_s = arrived[-1].at - arrived[0].at
        assert 3 <= sum(each.text == ":" for each in arrived) <= silent_s / 0.1 + 1
