"""What is asked again, how often and how soon; and that nothing is, once an answer has begun."""

import asyncio
import re
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Final

import aiohttp
import pytest
from autogen_core.models import UserMessage
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs
from multidict import CIMultiDict

from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.errors import ModelFailed, RateLimited
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.openai.retry import Refusal, RetryPolicy
from aiostream_server.models.openai.waits import asked_wait_s
from aiostream_server.models.provider import Delta, End, ModelRequest, TextDelta
from tests.kit.scripted_provider import BreakOff, HttpError, Raw, Reply, ScriptedAnswer, ScriptedProvider
from tests.models.recording import config_of

REQUEST = ModelRequest([UserMessage(content="hello", source="user")])
SOON = RetryPolicy(first_delay_s=0.01)
BUSY = HttpError(429, "slow down")


async def read(
    config: OpenAIModelConfig, retry: RetryPolicy = SOON, retried: Callable[[str, float], None] | None = None
) -> list[Delta]:
    provider = OpenAIProvider(config, retry=retry)
    try:
        return [delta async for batch in provider.stream(structs.replace(REQUEST, retried=retried)) for delta in batch]
    finally:
        await provider.close()


async def ask(*replies: Reply, retry: RetryPolicy = SOON) -> tuple[str, int]:
    """What came of it, and after how many requests."""
    async with ScriptedProvider() as scripted:
        scripted.script(*replies)
        try:
            deltas = await read(config_of(scripted), retry)
        except ModelFailed as failure:
            return str(failure).rpartition("answered ")[2], len(scripted.exchanges)
        return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)), len(scripted.exchanges)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504, 529])
async def test_no_room_passes(status: int) -> None:
    assert await ask(HttpError(status), HttpError(status), ScriptedAnswer("hi")) == ("hi", 3)


async def test_no_room_at_all() -> None:
    """The third refusal is the answer, in the provider's own words."""
    assert await ask(*[BUSY] * 4) == ("429 Too Many Requests: slow down", 3)


@pytest.mark.parametrize("status", [400, 401, 404, 409, 501, 505])
async def test_other_refusals_are_final(status: int) -> None:
    assert (await ask(HttpError(status), ScriptedAnswer("hi")))[1] == 1


@pytest.mark.parametrize("begun", [ScriptedAnswer("a", BreakOff()), Raw([b": yes?\n\n"], complete=False)])
async def test_answer_that_has_begun_is_not_asked_for_again(begun: Reply) -> None:
    assert (await ask(begun, ScriptedAnswer("hi")))[1] == 1


async def test_account_that_must_be_paid_first_is_not_asked_again() -> None:
    """OpenAI says 429 for that, too."""
    unpaid = HttpError(429, {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}})
    assert await ask(unpaid, ScriptedAnswer("hi")) == ("429 Too Many Requests: You exceeded your quota", 1)


@pytest.mark.parametrize(("max_retries", "requests"), [(0, 1), (1, 2)])
async def test_how_often_is_configured(max_retries: int, requests: int) -> None:
    async with ScriptedProvider() as scripted:
        scripted.script(*[BUSY] * 3)
        with pytest.raises(ModelFailed, match="slow down"):
            await read(config_of(scripted, max_retries=max_retries))
        assert len(scripted.exchanges) == requests


async def test_retry_after_in_milliseconds() -> None:
    """Azure says both; the finer one counts."""
    started = time.monotonic()
    headers = {"Retry-After": "5", "Retry-After-Ms": "300"}
    assert await ask(HttpError(429, headers=headers), ScriptedAnswer("hi")) == ("hi", 2)
    assert 0.3 <= time.monotonic() - started < 5


async def test_retry_after_is_waited_for() -> None:
    started = time.monotonic()
    assert await ask(HttpError(429, headers={"Retry-After": "1"}), ScriptedAnswer("hi")) == ("hi", 2)
    assert time.monotonic() - started >= 1


async def test_retry_after_that_is_too_far_off() -> None:
    """The failure comes at once: the request does not wait a minute."""
    started = time.monotonic()
    assert (await ask(HttpError(429, "later", {"Retry-After": "60"}), ScriptedAnswer("hi")))[1] == 1
    assert time.monotonic() - started < 30


HI = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 65\r\n\r\n"
    b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
)


@pytest.mark.parametrize("reset", [False, True])
async def test_connection_that_is_lost_without_a_byte(reset: bool) -> None:
    """A server that is just being replaced closes its connections, or resets them."""
    lost = 0

    async def handle(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal lost
        await client.readuntil(b"\r\n\r\n")
        if lost == 2:
            writer.write(HI)
        else:
            lost += 1
            if reset:
                linger_no_more = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger_no_more)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        assert await read(config_at(server.sockets[0].getsockname()[1])) == [TextDelta("hi"), End("stop")]
    assert lost == 2


async def test_server_that_comes_up_meanwhile() -> None:
    """A refused connection is tried again."""

    async def handle(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await client.readuntil(b"\r\n\r\n")
        writer.write(HI)
        writer.close()

    place = socket.socket()
    place.bind(("127.0.0.1", 0))  # no server listens yet: connections are refused
    asking = asyncio.create_task(read(config_at(place.getsockname()[1]), RetryPolicy(first_delay_s=1)))
    await asyncio.sleep(0.2)
    async with await asyncio.start_server(handle, sock=place):
        assert await asking == [TextDelta("hi"), End("stop")]


async def test_waiting_is_cancelled_at_once() -> None:
    """The cause of the cancellation says that the call cost nothing."""
    async with ScriptedProvider() as scripted:
        scripted.script(HttpError(429, "later", {"Retry-After": "9"}), ScriptedAnswer("hi"))
        waits = asyncio.Event()
        asking = asyncio.create_task(read(config_of(scripted), retried=lambda *_: waits.set()))
        await waits.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError) as cancelled:
            await asking
        assert len(scripted.exchanges) == 1
        assert isinstance(cancelled.value.__cause__, ModelFailed)
        assert len(scripted.exchanges) == 1


def config_at(port: int, **more: int) -> OpenAIModelConfig:
    return OpenAIModelConfig.model_validate(
        {"provider": "openai", "model": "m", "base_url": f"http://127.0.0.1:{port}/v1", **more}
    )


def test_delays_grow_are_spread_and_end() -> None:
    policy, busy = RetryPolicy(), Refusal(ModelFailed("busy"), 503)
    firsts = [policy.delay_s(busy, 0) or 0 for _ in range(50)]
    seconds = [policy.delay_s(busy, 1) or 0 for _ in range(50)]
    assert 0.25 <= min(firsts) < max(firsts) <= 0.5 <= min(seconds) < max(seconds) <= 1
    assert policy.delay_s(busy, 2) is None


def busy(**headers: str) -> Refusal:
    """A refusal with these headers."""
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Refusal(RateLimited("busy"), 429, wait_s=asked_wait_s(named, "") or 0.0)


@pytest.mark.parametrize(
    ("retry_after", "least_s", "most_s"), [("3", 3, 3.5), ("10", 10, 10), ("-5", 0.25, 0.5), ("soon", 0.25, 0.5)]
)
def test_what_the_provider_asks_for_is_the_least(retry_after: str, least_s: float, most_s: float) -> None:
    delay_s = RetryPolicy().delay_s(busy(retry_after=retry_after), 0)
    assert delay_s is not None
    assert least_s <= delay_s <= most_s


@pytest.mark.parametrize("retry_after", ["11", "inf", "nan", "Fri, 31 Dec 9998 23:59:59 GMT"])
def test_more_than_is_waited_for(retry_after: str) -> None:
    assert RetryPolicy().delay_s(busy(retry_after=retry_after), 0) is None


@pytest.mark.parametrize(("milliseconds", "least_s"), [("1500", 1.5), ("", 4), ("soon", 4), ("-1", -0.001)])
def test_milliseconds_go_before_seconds(milliseconds: str, least_s: float) -> None:
    assert busy(retry_after="4", retry_after_ms=milliseconds).wait_s == least_s


def test_retry_after_as_a_date() -> None:
    at = datetime.now(UTC) + timedelta(seconds=5)
    assert 3 < busy(retry_after=format_datetime(at, usegmt=True)).wait_s <= 5
    assert 3 < busy(retry_after=at.strftime("%a, %d %b %Y %H:%M:%S")).wait_s <= 5


@given(st.text() | st.from_regex(r"\w{3}, \d{1,3} (Jan|Dec) \d{1,6} \d\d:\d\d:\d\d [+-]\d{1,12}", fullmatch=True))
def test_no_header_is_too_odd(retry_after: str) -> None:
    delay_s = RetryPolicy().delay_s(busy(retry_after=retry_after), 0)
    assert delay_s is None or 0 < delay_s <= 10


@pytest.mark.parametrize(
    ("headers", "body", "wait_s"),
    [
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "1m2.5s"}, "", 62.5),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "120ms"}, "", 0.12),
        ({"x-ratelimit-remaining-requests": "9", "x-ratelimit-reset-requests": "1h"}, "", None),
        ({"RateLimit-Remaining": "0", "RateLimit-Reset": "7"}, "", 7),
        ({}, '{"error":{"message":"Rate limit reached for gpt-4o. Please try again in 6.5s."}}', 6.5),
        ({}, '{"error":{"message":"Limit 6000, Used 5900. Please try again in 1m3.5s. Need more?"}}', 63.5),
        ({}, '{"error":{"message":"Please retry after 18 seconds."}}', 18),
        ({}, '[{"error":{"code":429,"details":[{"@type":"x.RetryInfo","retryDelay":"37s"}]}}]', 37),
        ({"Retry-After": "3"}, '{"error":{"message":"Please try again in 20s."}}', 3),
        ({}, '{"error":{"message":"try again later"}}', None),
    ],
)
def test_a_wait_is_found_wherever_a_provider_tells_it(headers: dict[str, str], body: str, wait_s: float | None) -> None:
    assert asked_wait_s(CIMultiDict(headers), body) == wait_s


def test_a_time_of_reset_becomes_seconds() -> None:
    at = datetime.now(UTC) + timedelta(seconds=30)
    anthropic = {"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": at.isoformat()}
    openrouter = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(at.timestamp() * 1000))}
    for headers in (anthropic, openrouter):
        assert 25 < (asked_wait_s(CIMultiDict(headers), "") or 0) <= 30


@given(
    st.dictionaries(st.sampled_from(["Retry-After", "x-ratelimit-remaining", "x-ratelimit-reset"]), st.text()),
    st.text(),
)
def test_no_wait_is_too_odd(headers: dict[str, str], body: str) -> None:
    asked_wait_s(CIMultiDict(headers), body)


@pytest.mark.parametrize(
    ("error", "is_transient"),
    [
        (aiohttp.ServerDisconnectedError(), True),
        (aiohttp.ClientOSError(104, "reset"), True),
        (ConnectionResetError(), True),
        (aiohttp.ConnectionTimeoutError(), False),
        (aiohttp.SocketTimeoutError(), False),
        (aiohttp.ClientPayloadError(), False),
    ],
)
def test_which_lost_connections_are_tried_again(error: aiohttp.ClientError | OSError, is_transient: bool) -> None:
    assert Refusal(ModelFailed("lost"), error=error).is_transient == is_transient


_OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%b" % (
    len(body := b'data: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'),
    body,
)


class ForgetfulProvider:
    """Answers once on each connection, and hangs up at the next request on it: the end comes after that was sent."""

    def __init__(self, *, resets: bool) -> None:
        self.connections = self.requests = 0
        self.is_down = False
        self._resets = resets
        self._together = asyncio.Barrier(1)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._read(reader)
        if not self.is_down:
            await self._together.wait()
            writer.write(_OK)
            await self._read(reader)
        if self._resets:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.close()

    async def _read(self, reader: asyncio.StreamReader) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.search(rb"(?i)content-length: (\d+)", head)[1]))  # type: ignore[index]
            self.requests += 1

    @asynccontextmanager
    async def running(self, connections: int) -> AsyncIterator[int]:
        """Its port. It answers the first requests together, so that each has a connection of its own."""
        self._together = asyncio.Barrier(connections)
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()


@pytest.mark.parametrize("resets", [False, True], ids=["FIN", "RST"])
async def test_a_connection_that_was_closed_in_the_pool_is_replaced(resets: bool) -> None:
    """Forty at once as well, and without any retry that counts."""
    forgetful = ForgetfulProvider(resets=resets)
    async with forgetful.running(40) as port:
        provider = OpenAIProvider(config_at(port, max_retries=0))

        async def one() -> str:
            deltas = [delta async for batch in provider.stream(REQUEST) for delta in batch]
            return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))

        assert await asyncio.gather(*(one() for _ in range(40))) == ["hi"] * 40
        assert forgetful.connections == 40
        forgetful._together = asyncio.Barrier(1)
        assert await one() == "hi"
        assert await asyncio.gather(*(one() for _ in range(40))) == ["hi"] * 40
        await provider.close()


async def test_a_provider_that_hangs_up_on_fresh_connections_is_not_asked_for_ever() -> None:
    forgetful = ForgetfulProvider(resets=False)
    async with forgetful.running(1) as port:
        provider = OpenAIProvider(config_at(port), retry=SOON)
        _ = [batch async for batch in provider.stream(REQUEST)]
        forgetful.is_down = True
        with pytest.raises(ModelFailed):
            _ = [batch async for batch in provider.stream(REQUEST)]
        await provider.close()
    assert forgetful.requests == 1 + 1 + 3  # the last three on fresh connections
