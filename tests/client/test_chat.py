"""The client: pieces as they come, and every failure as one line that a person can read."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from aiostream_server.client import AnswerFailed, ChatClient, ClientError, NoServer, RequestRefused
from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig
from aiostream_server.intake.key_file import add_key
from aiostream_server.intake.keys import new_key
from tests.client.raw_server import piece, raw_server, stream_of
from tests.scripted_provider import Answer, BreakOff, ScriptedProvider, Stall
from tests.serving import Server, config_for, sample_team, serving, until_idle

DONE = b"data: [DONE]"
PERCENT = "What is 15% of 850?"


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(load_config(None, {}), tmp_path) as running:
        yield running


async def read_all(pieces: AsyncIterator[str]) -> list[str]:
    return [text async for text in pieces]


async def read(url: str, question: str = "hi", *, key: str | None = None, model: str = "auto") -> list[str]:
    async with ChatClient(url, key) as client:
        return await read_all(client.ask(question, model=model))


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/api", "/api/", "/api/v1", "/api/v1/"])
async def test_every_form_of_the_url_works(server: Server, path: str) -> None:
    assert "127.5" in "".join(await read(server.url + path, PERCENT))


async def test_pieces_come_one_by_one_as_they_are_written(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(Answer("one ", "two ", "three", pause_s=0.15))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            ChatClient(server.url) as client,
        ):
            came = [(text, time.monotonic()) async for text in client.ask("hi", model="solo")]
        left = provider.exchanges[0].left
    assert [text for text, _ in came] == ["✅ **Solo**\n\none ", "two ", "three"]
    assert max(at - went for (_, at), went in zip(came, left, strict=True)) < 0.1


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
            assert caught.value.status == 401


async def test_an_unknown_model_is_refused_with_the_servers_words(server: Server) -> None:
    with pytest.raises(RequestRefused, match="there is no model 'x'; there are: auto, general, data") as caught:
        await read(server.url, model="x")
    assert caught.value.status == 404


async def test_a_run_that_fails_says_why_after_what_was_said(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(Answer("so far ", BreakOff()))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            ChatClient(server.url) as client,
        ):
            pieces = client.ask("hi", model="solo")
            assert "so far " in await anext(pieces)
            with pytest.raises(AnswerFailed) as caught:
                await read_all(pieces)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("way", ["break", "cancel", "close"])
async def test_leaving_closes_the_connection_and_cancels_the_run(tmp_path: Path, way: str) -> None:
    async with ScriptedProvider() as provider:
        provider.script(Answer("one ", Stall()))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            said = asyncio.Event()

            async def listen() -> None:
                async with ChatClient(server.url) as client:
                    async for _ in client.ask("hi", model="solo"):
                        said.set()
                        if way == "break":
                            break
                    await asyncio.sleep(0 if way == "close" else 30)  # the client itself stays open

            task = asyncio.create_task(listen())
            await said.wait()
            if way != "break":
                task.cancel()
            await asyncio.wait_for(provider.exchanges[0].closed.wait(), timeout=1)
            await until_idle(server)
            task.cancel()
            await asyncio.wait({task})


async def test_nobody_at_the_url() -> None:
    with pytest.raises(NoServer, match=r"http://127\.0\.0\.1:9 does not answer: .*refused|Cannot connect"):
        await read("http://127.0.0.1:9/v1/")


@pytest.mark.parametrize("url", ["", "127.0.0.1:8000", "nonsense", "ftp://localhost", "http://", "http://a:b:c"])
async def test_what_is_no_url_is_said_to_be_none(url: str) -> None:
    with pytest.raises(NoServer, match="expected http://HOST:PORT"):
        await read(url)


@pytest.mark.parametrize(
    "pieces",
    [
        stream_of(piece("half")),
        stream_of(piece("half"), b'data: {"choi'),
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\ndat"],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b": heartbeat\n\n"],
        [b""],
    ],
    ids=["between frames", "in a frame", "in a chunk", "before its length", "at once"],
)
@pytest.mark.parametrize("abort", [False, True])
async def test_a_connection_that_breaks_off_is_no_end_of_an_answer(pieces: Sequence[bytes], abort: bool) -> None:
    async with raw_server(*pieces, abort=abort) as url:
        with pytest.raises(NoServer) as caught:
            await read(url)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pieces",
    [
        stream_of(b"data: nonsense"),
        stream_of(b"data: []"),
        stream_of(b"data: 1"),
        stream_of(b'data: "error"'),
        stream_of(b'data: {"error":"no object"}'),
        stream_of(b'data: {"choices":[{}]}'),
        stream_of(b'data: {"choices":[null]}'),
        stream_of(b"data: \xff"),
        stream_of(b"data: " + b"x" * 4 * 1024 * 1024),
        [b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>"],
        [b"SSH-2.0-OpenSSH_9.2\r\n"],
        [b"HTTP/1.1 200 OK\r\nBad Header: x\r\n\r\n"],
    ],
)
async def test_whatever_else_answers_is_not_such_a_server(pieces: Sequence[bytes]) -> None:
    async with raw_server(*pieces) as url:
        with pytest.raises(NoServer):
            await read(url)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"error":{"message":"try\\n again"}}', "try again"),
        (b"<html>Bad Gateway</html>", "HTTP 503 Busy"),
        (b'{"error":"busy"}', "HTTP 503 Busy"),
        (b"[]", "HTTP 503 Busy"),
        (b"", "HTTP 503 Busy"),
    ],
)
async def test_a_refusal_is_one_line_whatever_its_body(body: bytes, message: str) -> None:
    head = b"HTTP/1.1 503 Busy\r\nContent-Length: %d\r\n\r\n" % len(body)
    async with raw_server(head + body) as url:
        with pytest.raises(RequestRefused) as caught:
            await read(url)
    assert str(caught.value) == message
    assert caught.value.status == 503


async def test_lines_that_carry_no_text_are_passed_over() -> None:
    lines = (
        b": heartbeat",
        b"event: x",
        b'data: {"choices":[],"usage":{}}',
        b'data: {"event":{"type":"status"}}',
        b'data: {"choices":[{"delta":{"content":null}}]}',
        b'data:{"choices":[{"delta":{"content":"no space"}}]}',
        b'data: {"choices":[{"delta":{"reasoning_content":"hm"}}]}',
        piece("text"),
    )
    async with raw_server(*stream_of(*lines, DONE, piece("late"))) as url:
        assert await read(url) == ["no space", "text"]


async def test_an_error_frame_is_told_in_one_line() -> None:
    async with raw_server(*stream_of(piece("a"), b'data: {"error":{"message":"it\\nbroke"}}', DONE)) as url:
        with pytest.raises(AnswerFailed, match=r"^it broke$"):
            await read(url)


async def test_asking_outside_the_block_is_a_mistake_of_the_programmer() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        await anext(ChatClient("http://127.0.0.1:9").ask("hi"))


def test_every_failure_is_a_client_error() -> None:
    assert all(issubclass(error, ClientError) for error in (NoServer, RequestRefused, AnswerFailed))
