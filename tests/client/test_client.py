"""The client: its requests, and every failure as one line that a person can read."""

import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from aiostream_server.client import (
    BadAnswer,
    ClientError,
    ConnectionLost,
    NoServer,
    RequestRefused,
    RunExpired,
    StreamClient,
    UnknownRun,
)
from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig, LimitsConfig
from aiostream_server.events import Answer, Error, Event, Message, RunFinished, Token, TokenCount
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.client.raw_server import FINISHED, raw_server, refusal_of, stream_of, token
from tests.kit.scripted_provider import BreakOff, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving

PERCENT = "What is 15% of 850?"
END = RunFinished("stop", TokenCount(), 0.5)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(load_config(None, {}), tmp_path) as running:
        yield running


async def read(url: str, question: str = "hi", *, key: str | None = None, model: str = "auto") -> list[Event]:
    async with StreamClient(url, key, max_reconnects=2, backoff_s=0.001) as client:
        return [event async for event in client.stream(question, model=model)]


def answer_of(events: list[Event]) -> str:
    return "".join(event.content for event in events if isinstance(event, Answer))


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/api", "/api/", "/api/v1", "/api/v1/"])
async def test_every_form_of_the_url_works(server: Server, path: str) -> None:
    assert "127.5" in answer_of(await read(server.url + path, PERCENT))


async def test_a_conversation_needs_only_the_new_question(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("First."), ScriptedAnswer("Second."))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            StreamClient(server.url) as client,
        ):
            assert (
                answer_of([event async for event in client.stream("one", model="solo", conversation="c")]) == "First."
            )
            run_id = await client.start("two", model="solo", conversation="c")
            assert answer_of([event async for event in client.attach(run_id)]) == "Second."
        heard = [message["content"] for message in provider.exchanges[1].body["messages"]]
    assert heard[-3:] == ["one", "First.", "two"]


async def test_each_token_arrives_before_the_provider_sends_the_next(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", "two ", "three", pause_s=0.5))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            StreamClient(server.url) as client,
        ):
            came = [(event, time.monotonic()) async for event in client.stream("hi", model="solo")]
        left = provider.exchanges[0].left
    tokens = [(event.content, at) for event, at in came if isinstance(event, Token)]
    assert [text for text, _ in tokens] == ["one ", "two ", "three"]
    assert all(at < next_left for (_, at), next_left in zip(tokens, left[1:], strict=False))


async def test_a_background_run_is_started_described_watched_and_cancelled(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("done"), ScriptedAnswer("one ", Stall()))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            StreamClient(server.url) as client,
        ):
            first = await client.start("hi", model="solo", fields={"max_tokens": 9})
            events = [event async for event in client.attach(first)]
            info = await client.run(first)
            assert (info.status, info.reason, info.model, info.last_seq) == ("finished", "stop", "solo", len(events))
            assert [event async for event in client.attach(first, after=2)] == events[2:]
            assert [event async for event in client.attach(first, after=len(events))] == []
            assert [event async for event in client.attach(first, after=1000)] == []
            second = await client.start("hi", model="solo")
            assert (await client.run(second)).status == "running"
            assert (await client.cancel(second)).reason == "cancelled"
            assert {info.id for info in await client.runs()} == {first, second}
            with pytest.raises(UnknownRun, match="there is no run 'missing'"):
                await client.run("missing")


async def test_the_messages_of_a_conversation_reach_the_provider(tmp_path: Path) -> None:
    messages = [
        {"role": "user", "content": "My name is Ann."},
        {"role": "assistant", "content": "Hello Ann."},
        {"role": "user", "content": "Who am I?"},
    ]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Ann"))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            StreamClient(server.url) as client,
        ):
            assert [event async for event in client.stream(messages, model="solo")]
        assert "My name is Ann." in str(provider.exchanges[0].body)


async def test_a_key_is_sent_and_a_wrong_one_is_refused(tmp_path: Path) -> None:
    key, text = new_key("me")
    add_key(tmp_path / "keys.json", key)
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=tmp_path / "keys.json")})
    async with serving(config, tmp_path) as server:
        assert await read(server.url, key=text.get_secret_value())
        assert await read(server.url, key=text.get_secret_value() + "\n")  # read from a file
        for wrong in (None, "sk-wrong"):
            with pytest.raises(RequestRefused, match="API key") as caught:
                await read(server.url, key=wrong)
            assert (caught.value.status, caught.value.code) == (401, "invalid_api_key")


async def test_an_unknown_model_is_refused_with_the_servers_words(server: Server) -> None:
    with pytest.raises(RequestRefused, match="there is no model 'x'; there are: auto, general, data") as caught:
        await read(server.url, model="x")
    assert (caught.value.status, caught.value.code) == (404, "model_not_found")


async def test_a_run_whose_events_were_dropped_has_expired(tmp_path: Path) -> None:
    config = load_config(None, {}).model_copy(update={"limits": LimitsConfig(retained_bytes=0)})
    async with serving(config, tmp_path) as server, StreamClient(server.url) as client:
        stream = client.stream(PERCENT)
        assert [event async for event in stream]
        with pytest.raises(RunExpired, match="are kept no longer"):
            assert not [event async for event in client.attach(stream.run_id or "")]


async def test_a_run_that_fails_says_so_in_its_events(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("so far ", BreakOff()))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            events = await read(server.url, model="solo")
    assert any(isinstance(event, Token) and event.content == "so far " for event in events)
    assert isinstance(events[-2], Error)
    assert isinstance(events[-1], RunFinished)
    assert events[-1].reason == "error"


async def test_the_client_waits_as_long_as_retry_after_says(tmp_path: Path) -> None:
    answers = [refusal_of(429, b"{}", b"Retry-After: 1"), refusal_of(503, b"<html>"), stream_of(FINISHED % 1)]
    async with raw_server(*answers) as url:
        began_at = time.monotonic()
        assert await read(url) == [END]
    assert time.monotonic() - began_at >= 1.0


@pytest.mark.parametrize("wait", [b"3600", b"Fri, 31 Dec 2999 23:59:59 GMT"])
async def test_a_retry_after_that_is_too_long_is_an_error(wait: bytes) -> None:
    async with raw_server(refusal_of(429, b'{"error":{"message":"no","code":"c"}}', b"Retry-After: " + wait)) as url:
        with pytest.raises(RequestRefused, match=r"^no$") as caught:
            await read(url)
    assert caught.value.retry_after_s
    assert caught.value.retry_after_s >= 3600


async def test_what_the_server_calls_final_is_not_asked_again() -> None:
    """A 503 for an overloaded model: the server has retried it."""
    refusal = refusal_of(503, b'{"error":{"message":"no","code":"model_overloaded"}}', b"x-should-retry: false")
    async with raw_server(refusal, stream_of(FINISHED % 1)) as url:
        with pytest.raises(RequestRefused) as caught:
            await read(url)
    assert caught.value.is_final


@pytest.mark.parametrize("wait", [b"soon", b"Fri, 31 Dec 1999 23:59:59 GMT"])
async def test_a_malformed_or_past_retry_after_is_ignored(wait: bytes) -> None:
    async with raw_server(refusal_of(503, b"", b"Retry-After: " + wait), stream_of(FINISHED % 1)) as url:
        assert await read(url) == [END]


async def test_a_background_start_is_retried() -> None:
    body = b'{"id":"run-1"}'
    started = b"HTTP/1.1 202 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    told: list[ClientError] = []
    async with (
        raw_server([b""], refusal_of(503, b""), [started]) as url,
        StreamClient(url, backoff_s=0.001, on_reconnect=told.append) as client,
    ):
        assert await client.start("hi") == "run-1"
    assert [type(error) for error in told] == [ConnectionLost, RequestRefused]
    with pytest.raises(NoServer):
        async with StreamClient("http://127.0.0.1:9") as client:
            await client.start("hi")


async def test_a_url_without_a_server_is_an_error_at_once() -> None:
    with pytest.raises(NoServer, match=r"http://127\.0\.0\.1:9 does not answer: .*refused|Cannot connect"):
        await read("http://127.0.0.1:9/v1/")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "nonsense", "ftp://localhost", "http://", "http://a:b:c"])
async def test_a_malformed_url_is_an_error(url: str) -> None:
    with pytest.raises(NoServer, match="expected http://HOST:PORT"):
        await read(url)


@pytest.mark.parametrize(
    "pieces",
    [
        stream_of(token(1, "half")),
        [*stream_of(token(1, "half")), b'data: {"seq'],
        stream_of(token(1, "one"), token(3, "three")),
        stream_of(b": heartbeat"),
        [stream_of()[0][:-2] + b"Content-Length: 100\r\n\r\n", b": heartbeat\n\n"],
        [b""],
    ],
    ids=["between events", "in an event", "with a gap", "before any", "before its length", "at once"],
)
@pytest.mark.parametrize("abort", [False, True])
async def test_a_broken_connection_is_not_the_end_of_a_run(pieces: Sequence[bytes], abort: bool) -> None:
    async with raw_server(pieces, abort=abort) as url:
        with pytest.raises(ConnectionLost) as caught:
            await read(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pieces",
    [
        stream_of(b"data: nonsense"),
        stream_of(b"data: []"),
        stream_of(b"data: 1"),
        stream_of(b'data: {"seq":1}'),
        stream_of(b'data: {"seq":"1","type":"token"}'),
        stream_of(b'data: {"seq":1,"type":"token"}'),
        stream_of(b"data: \xff"),
        stream_of(b"data: " + b"[" * 100_000),
        stream_of(b"data: " + b"x" * 5 * 1024 * 1024),
        [b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 0\r\n\r\n"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
        [b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n"],
    ],
)
async def test_any_other_answer_to_a_stream_is_a_bad_answer(pieces: Sequence[bytes]) -> None:
    async with raw_server(pieces) as url:
        with pytest.raises(BadAnswer) as caught:
            await read(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", [b"", b"[]", b"nonsense", b'{"data":1}', b'{"data":[{}]}', b'{"id":1}', b"\xff"])
async def test_any_other_json_is_a_bad_answer(body: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
    async with raw_server([head % len(body) + body]) as url, StreamClient(url) as client:
        for call in (client.runs, lambda: client.run("x"), lambda: client.cancel("x"), lambda: client.start("hi")):
            with pytest.raises(BadAnswer):
                await call()


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"try\\n again"}}', "try again"),
        (b"<html>Bad Gateway</html>", "HTTP 500 Busy"),
        (b'{"error":"busy"}', "HTTP 500 Busy"),
        (b"[]", "HTTP 500 Busy"),
        (b"", "HTTP 500 Busy"),
    ],
)
async def test_a_refusal_is_one_line_whatever_its_body(body: bytes, message: str) -> None:
    async with raw_server(refusal_of(500, body)) as url:
        with pytest.raises(RequestRefused) as caught:
            await read(url)
    assert str(caught.value) == message
    assert caught.value.status == 500


@pytest.mark.parametrize("status", [404, 405])
async def test_a_server_of_another_kind_is_asked_about(status: int) -> None:
    async with raw_server(refusal_of(status, b"404: Not Found")) as url:
        with pytest.raises(RequestRefused) as caught:
            await read(url)
    assert str(caught.value) == f"HTTP {status} Busy: is {url} the URL of an aiostream-server?"


async def test_comments_other_fields_newer_events_and_repetitions_are_skipped() -> None:
    events = (
        b": heartbeat",
        b"retry: 1000",
        token(1, "a"),
        token(1, "again"),
        b'data: {"seq":2,"type":"applause","loud":true}',
        b"event: token\nid: 3\n" + token(3, "b"),
        FINISHED % 4,
        token(5, "late"),
    )
    async with raw_server(stream_of(*events)) as url:
        assert await read(url) == [Token("A", "a", "message"), Token("A", "b", "message"), END]


async def test_a_truncated_message_is_completed_from_its_tokens() -> None:
    """The server sends the beginning, and `truncated`, when the message is too long for one line."""
    cut = b'data: {"seq":%d,"type":"%s","agent":"A","content":"on","streamed":true,"truncated":true}'
    events = (token(1, "one "), token(2, "two"), cut % (3, b"message"), cut % (4, b"final"), FINISHED % 5)
    async with raw_server(stream_of(*events)) as url:
        assert (await read(url))[2:4] == [Message("A", "one two", streamed=True), Answer("A", "one two", streamed=True)]
        async with StreamClient(url) as client:  # which did not receive the tokens
            late = [event async for event in client.attach("run-1", after=2)]
    assert late[0] == Message("A", "on", streamed=True)


async def test_a_client_that_is_not_entered_raises_a_runtime_error() -> None:
    client = StreamClient("http://127.0.0.1:9")
    with pytest.raises(RuntimeError, match="async with"):
        await client.runs()
    with pytest.raises(RuntimeError, match="async with"):
        await anext(aiter(client.stream("hi")))


def test_every_failure_is_a_client_error() -> None:
    leaves = (NoServer, BadAnswer, RequestRefused, UnknownRun, RunExpired, ConnectionLost)
    assert all(issubclass(error, ClientError) for error in leaves)
