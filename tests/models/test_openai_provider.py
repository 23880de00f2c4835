"""The OpenAI provider against a real server: what it sends, what it makes of the answer, and how it fails."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from autogen_core import Image
from autogen_core.models import RequestUsage, UserMessage
from msgspec import structs
from PIL import Image as PillowImage
from pydantic import SecretStr
from structlog.testing import capture_logs

from aiostream_server.config.model import OpenAIModelConfig
from aiostream_server.errors import ModelFailed, ModelTimeout
from aiostream_server.models.openai.connections import open_session
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.openai.push_reader import BytesReader, PullReader, PushReader
from aiostream_server.models.openai.retry import RetryPolicy
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, TextDelta, ThoughtDelta
from tests.kit.scripted_provider import (
    BreakOff,
    Call,
    HttpError,
    Pause,
    Raw,
    Reply,
    ScriptedAnswer,
    ScriptedProvider,
    Stall,
    Think,
)
from tests.models.recording import RecordingSink, config_of, sink_in_context

REQUEST = ModelRequest([UserMessage(content="hello", source="user")])


@pytest.fixture
async def scripted() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


async def read(
    config: OpenAIModelConfig, request: ModelRequest = REQUEST, *, reader: type[BytesReader] = PushReader
) -> list[Delta]:
    """One answer, through a provider of its own that waits little before a retry."""
    provider = OpenAIProvider(config, retry=RetryPolicy(first_delay_s=0.01), reader=reader)
    try:
        async with aclosing(provider.stream(request)) as batches:
            return [delta async for batch in batches for delta in batch]
    finally:
        await provider.close()


async def failure(config: OpenAIModelConfig) -> str:
    with pytest.raises(ModelFailed) as raised:
        await read(config)
    message = str(raised.value)
    assert len(message.splitlines()) == 1
    return message


async def test_answer(scripted: ScriptedProvider) -> None:
    """Reasoning, text, a call and the usage, in order."""
    scripted.script(ScriptedAnswer(Think(["hm"]), "Hel", "lo", Call("add", {"a": 1}, pieces=1)))
    assert await read(config_of(scripted)) == [
        ThoughtDelta("hm"),
        TextDelta("Hel"),
        TextDelta("lo"),
        CallDelta(0, "call_1", "add"),
        CallDelta(0, arguments='{"a": 1}'),
        End("function_calls", RequestUsage(11, 7)),
    ]
    assert scripted.exchanges[0].complete


@pytest.mark.parametrize("reader", [PushReader, PullReader])
async def test_both_readers_give_the_same_answers_and_failures(
    scripted: ScriptedProvider, reader: type[BytesReader]
) -> None:
    scripted.script(ScriptedAnswer("one ", Pause(0.05), "two"))
    deltas = await read(config_of(scripted), reader=reader)
    assert [delta for delta in deltas if isinstance(delta, TextDelta)] == [TextDelta("one "), TextDelta("two")]
    scripted.script(ScriptedAnswer("one ", Stall()))
    with pytest.raises(ModelTimeout, match="silent for too long"):
        await read(config_of(scripted, idle_timeout_s=0.2), reader=reader)
    scripted.script(ScriptedAnswer("one ", Stall()))
    with pytest.raises(ModelTimeout, match="total_timeout_s"):
        await read(config_of(scripted, total_timeout_s=0.4), reader=reader)
    scripted.script(ScriptedAnswer("one ", BreakOff()))
    with pytest.raises(ModelFailed, match="broke off"):
        await read(config_of(scripted), reader=reader)


async def test_request(scripted: ScriptedProvider) -> None:
    """The key is a bearer token, the configured options are in the body, nothing is compressed."""
    scripted.script(ScriptedAnswer("hi"))
    config = config_of(scripted, options={"temperature": 0.5})
    config = config.with_secret(SecretStr("sk-1"))
    await read(config)
    sent = scripted.exchanges[0]
    assert sent.headers["Authorization"] == "Bearer sk-1"
    assert sent.headers["Accept-Encoding"] == "identity"
    assert sent.body["temperature"] == 0.5
    assert sent.body["stream_options"] == {"include_usage": True}


async def test_images_are_sent(scripted: ScriptedProvider) -> None:
    scripted.script(ScriptedAnswer("red"))
    picture = Image(PillowImage.new("RGB", (2, 2), "red"))
    await read(config_of(scripted), ModelRequest([UserMessage(content=["what?", picture], source="user")]))
    assert scripted.exchanges[0].body["messages"][0]["content"][1]["type"] == "image_url"


async def test_tokens_come_as_they_leave(scripted: ScriptedProvider) -> None:
    """Each token is here before the next one leaves the provider."""
    scripted.script(ScriptedAnswer("a", "b", "c", pause_s=0.1))
    provider, arrived = OpenAIProvider(config_of(scripted)), []
    async for batch in provider.stream(REQUEST):
        arrived += [time.monotonic() for delta in batch if isinstance(delta, TextDelta)]
    await provider.close()
    left = scripted.exchanges[0].left
    assert all(here < next_left for here, next_left in zip(arrived, left[1:], strict=False))
    assert len(arrived) == 3


async def test_connection_is_used_again(scripted: ScriptedProvider) -> None:
    """An answer that was read to its end leaves its connection to the next one."""
    scripted.script(*[ScriptedAnswer("hi")] * 3)
    ports = set()
    async with open_session() as session:
        provider = OpenAIProvider(config_of(scripted), session)
        for _ in range(3):
            async for _batch in provider.stream(REQUEST):
                pass
            ports.add(len(session.connector._conns) if session.connector is not None else 0)
        await provider.close()
        assert not session.closed, "the session has another owner"
    assert ports == {1}


async def test_lingering_connection_does_not_hold_up_the_answer(scripted: ScriptedProvider) -> None:
    """The answer does not wait for a provider that keeps the body open for 30 s behind `[DONE]`."""
    done = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
    scripted.script(Raw([done, b": and on\n\n"], pause_s=30))
    started = time.monotonic()
    assert await read(config_of(scripted)) == [End("stop")]
    assert time.monotonic() - started < 15
    await asyncio.wait_for(scripted.exchanges[0].closed.wait(), 10)


@pytest.mark.parametrize("status", [400, 422])
async def test_provider_that_does_not_know_stream_options(scripted: ScriptedProvider, status: int) -> None:
    """Asked once more without them; later requests leave them out at once."""
    scripted.script(
        HttpError(status, {"error": {"message": "unknown field: stream_options"}}),
        ScriptedAnswer("a"),
        ScriptedAnswer("b"),
    )
    provider = OpenAIProvider(config_of(scripted))
    for _ in range(2):
        async for _batch in provider.stream(REQUEST):
            pass
    await provider.close()
    assert ["stream_options" in exchange.body for exchange in scripted.exchanges] == [True, False, False]


async def test_answer_that_is_not_streamed(scripted: ScriptedProvider) -> None:
    body = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}]}'
    scripted.script(Raw([body[:20], body[20:]], content_type="application/json"))
    assert await read(config_of(scripted)) == [TextDelta("hi"), End("stop")]


_STREAMED = [b"\xef\xbb\xbfda", b'ta: {"choices":[{"delta":{"content":"hi"},"finish_reason":"stop"}]}\r', b"\n\r\n"]


@pytest.mark.parametrize("label", ["text/event-stream", "application/json", "text/html", "application/octet-stream"])
@pytest.mark.parametrize(
    "body", [_STREAMED, [b'{"choices":[\n', b'{"message":{"content":"hi"},"finish_reason":"stop"}]}']]
)
async def test_first_bytes_say_what_an_answer_is_not_its_label(
    scripted: ScriptedProvider, label: str, body: Sequence[bytes]
) -> None:
    scripted.script(Raw(body, content_type=label, pause_s=0.01))
    assert await read(config_of(scripted)) == [TextDelta("hi"), End("stop")]


async def test_odd_fields_are_one_warning_for_each_run(scripted: ScriptedProvider) -> None:
    """Outside a run there is one for each call."""
    odd = Raw([b'data: {"choices":[{"delta":{"content":[{"text":"hi"}]},"finish_reason":"stop"}],"usage":[]}\n\n'])
    scripted.script(*[odd] * 5)
    provider = OpenAIProvider(config_of(scripted))
    with capture_logs() as logs:
        for run in (RecordingSink(), RecordingSink(), None):
            with sink_in_context(run):
                for _ in range(2 if run is not None else 1):
                    async with aclosing(provider.stream(REQUEST)) as batches:
                        assert [delta async for batch in batches for delta in batch] == [TextDelta("hi"), End("stop")]
    await provider.close()
    assert [line for line in logs if line["event"] == "model_answer_odd"] == [
        {
            "event": "model_answer_odd",
            "log_level": "warning",
            "model": "scripted",
            "fields": ("choices.delta.content", "usage"),
        }
    ] * 3


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            HttpError(401, {"error": {"message": "Incorrect key:\n sk-1"}}),
            "answered 401 Unauthorized",
        ),
        (HttpError(404, {"error": "no such model"}), "answered 404 Not Found: no such model"),
        (HttpError(429, {"message": "slow down"}), "answered 429 Too Many Requests: slow down"),
        (HttpError(409, {"detail": [{"msg": "bad field"}]}), "answered 409 Conflict: bad field"),
        (
            HttpError(
                422, {"object": "error", "message": {"detail": [{"loc": ["body", "top_k"], "msg": "not permitted"}]}}
            ),
            "answered 422 Unprocessable Entity: not permitted: body.top_k",
        ),
        (HttpError(400, {"detail": "bad"}), "answered 400 Bad Request: bad"),
        (HttpError(500, {"weird": []}), "answered 500 Internal Server Error"),
        (HttpError(502, "<html>nginx</html>"), "answered 502 Bad Gateway"),
        (HttpError(503, "overloaded"), "answered 503 Service Unavailable: overloaded"),
        (HttpError(599, ""), "answered 599"),
        (
            HttpError(307, "", headers={"Location": "/elsewhere"}),
            "answered 307 Temporary Redirect: is its base_url right?",
        ),
        (HttpError(404, {"detail": "Not Found"}), "answered 404 Not Found: is its base_url right?"),
        (HttpError(404, "404 page not found"), "answered 404 Not Found: is its base_url right?"),
        (HttpError(405, "<html>"), "answered 405 Method Not Allowed: is its base_url right?"),
        (Raw([b"<html>"], content_type="text/html"), "answered with a web page: is its base_url right?"),
        (Raw([b"{"], content_type="application/json"), "sent something that is not JSON"),
        (Raw([b"{"], content_type="application/json", complete=False), "broke off in the middle of its answer"),
        (Raw([b"data: {\n\n"]), "sent something that is not JSON"),
        (ScriptedAnswer("a", BreakOff()), "broke off in the middle of its answer"),
        (Raw([b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n']), "broke off in the middle of its answer"),
    ],
)
async def test_failures(scripted: ScriptedProvider, error: Any, message: str) -> None:
    """One line, with the status and the provider's own words, without the key."""
    scripted.script(*[error] * 3)  # where there is no room, it is asked for again
    config = config_of(scripted)
    config = config.with_secret(SecretStr("sk-1"))
    origin = scripted.base_url.removesuffix("/v1")
    assert await failure(config) == f"the model provider at {origin} {message}"


async def test_a_provider_that_asks_for_a_key_where_none_is_configured_is_told_as_that(
    scripted: ScriptedProvider,
) -> None:
    scripted.script(HttpError(401, {"error": {"message": "no key"}}))
    assert (await failure(config_of(scripted))).endswith(
        " answered 401 Unauthorized: it asks for an API key, and the server has none for it"
    )


async def test_long_error_is_cut(scripted: ScriptedProvider) -> None:
    scripted.script(HttpError(400, {"error": {"message": "x" * 100_000}}))
    assert len(await failure(config_of(scripted))) < 400


async def test_error_body_that_breaks_off(scripted: ScriptedProvider) -> None:
    """The status is told in any case."""

    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 Oops\r\nContent-Length: 100\r\n\r\nno luck")
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        message = await failure(config_at(f"http://127.0.0.1:{port}/v1"))
    assert message.endswith("answered 500 Internal Server Error: no luck")


async def test_lost_behind_the_finish_reason_is_no_loss(scripted: ScriptedProvider) -> None:
    stop = b'data: {"choices":[{"delta":{"content":"all"},"finish_reason":"stop"}]}\n\n'
    scripted.script(Raw([stop], complete=False))
    assert await read(config_of(scripted)) == [TextDelta("all"), End("stop")]


def config_at(url: str, **settings: Any) -> OpenAIModelConfig:
    return OpenAIModelConfig.model_validate({"provider": "openai", "model": "m", "base_url": url, **settings})


async def test_unreachable() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    message = await failure(config_at(f"http://user:pass@127.0.0.1:{port}/v1"))
    assert message == f"the model provider at http://127.0.0.1:{port} cannot be reached: connection refused"


async def test_unknown_host() -> None:
    message = await failure(config_at("http://no-such-host.invalid/v1"))
    assert message == "the model provider at http://no-such-host.invalid cannot be reached: its name cannot be resolved"


async def test_https_where_there_is_none(scripted: ScriptedProvider) -> None:
    message = await failure(config_at(scripted.base_url.replace("http:", "https:")))
    assert message.endswith("cannot be reached: no TLS connection can be made")


async def serve_bytes(answer: bytes) -> str:
    """What a request fails with, if the server sends `answer` and hangs up."""

    async def handle(client: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await client.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        return await failure(config_at(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"))


async def test_connection_closed_without_an_answer() -> None:
    assert (await serve_bytes(b"")).endswith("closed the connection without an answer")


def test_certificate_of_an_unknown_authority() -> None:
    key = ConnectionKey("host", 1, True, True, None, None, None)
    error = aiohttp.ClientConnectorCertificateError(key, ssl.SSLCertVerificationError("self-signed"))
    failure = Failures("https://host:1", None).lost(error, answering=False)
    assert str(failure) == "the model provider at https://host:1 cannot be reached: its certificate is not valid"


async def test_no_http() -> None:
    assert (await serve_bytes(b"SSH-2.0-OpenSSH\r\n\r\n")).endswith("sent something that is not HTTP")


async def test_connection_that_is_not_accepted() -> None:
    """A full backlog: the connection never comes about."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        for _ in range(4):
            waiting.append(peer := socket.socket())
            peer.setblocking(False)
            peer.connect_ex(address)
        try:
            with pytest.raises(ModelTimeout, match="cannot be reached: it did not accept a connection in time"):
                await read(config_at(f"http://127.0.0.1:{address[1]}/v1", connect_timeout_s=0.2))
        finally:
            for peer in waiting:
                peer.close()


@pytest.mark.parametrize("answer", [ScriptedAnswer("a", Stall()), ScriptedAnswer("a", before_s=30)])
async def test_silence(scripted: ScriptedProvider, answer: ScriptedAnswer) -> None:
    """Between tokens and before the headers; the connection is closed."""
    scripted.script(answer)
    with pytest.raises(ModelTimeout, match="has been silent for too long"):
        await read(config_of(scripted, idle_timeout_s=0.2))
    await asyncio.wait_for(scripted.exchanges[0].closed.wait(), 10)


@pytest.mark.parametrize(
    "answer",
    [
        ScriptedAnswer(*"abcdefgh", pause_s=0.1),
        ScriptedAnswer("a", before_s=30),
        HttpError(503, headers={"Retry-After": "1"}),
    ],
)
async def test_whole_call_has_a_deadline(scripted: ScriptedProvider, answer: Reply) -> None:
    """However busy the provider is; nor is one waited for that would come too late."""
    scripted.script(answer)
    started = time.monotonic()
    with pytest.raises(ModelFailed, match=r"did not end its answer within total_timeout_s|503"):
        await read(config_of(scripted, total_timeout_s=0.35))
    assert time.monotonic() - started < 15
    assert len(scripted.exchanges) == 1
    if not isinstance(answer, HttpError):
        await asyncio.wait_for(scripted.exchanges[0].closed.wait(), 10)


async def test_call_may_have_a_deadline_of_its_own(scripted: ScriptedProvider) -> None:
    """As the `openai` package's option `timeout`, which is not sent."""
    scripted.script(ScriptedAnswer("a", Stall()))
    with pytest.raises(ModelTimeout, match="did not end its answer"):
        await read(config_of(scripted), structs.replace(REQUEST, options={"timeout": 0.2}))
    assert "timeout" not in scripted.exchanges[0].body


async def test_where_the_key_goes(scripted: ScriptedProvider) -> None:
    """Azure's way: its own header, and a query in the address."""
    scripted.script(ScriptedAnswer("hi"))
    base_url = f"{scripted.base_url}/?api-version=1"
    config = config_of(scripted, base_url=base_url, api_key_header="api-key", headers={"X-Title": "t"})
    await read(config.with_secret(SecretStr("k")))
    sent = scripted.exchanges[0].headers
    assert (sent["api-key"], sent["X-Title"], "Authorization" in sent) == ("k", "t", False)
    assert config.api_key is None


PICTURE = UserMessage(content=[Image(PillowImage.new("RGB", (2, 2), "red"))], source="user")


@pytest.mark.parametrize(
    ("settings", "request_", "message"),
    [
        (
            {"model_info": {"function_calling": False}},
            ModelRequest(REQUEST.messages, [{"name": "f"}]),
            "function calling",
        ),
        ({"model_info": {"vision": False}}, ModelRequest([PICTURE]), "images"),
        ({"model": "o3-mini"}, ModelRequest([PICTURE]), "images"),
    ],
)
async def test_what_the_model_does_not_take_is_not_sent(
    scripted: ScriptedProvider, settings: dict[str, Any], request_: ModelRequest, message: str
) -> None:
    """Where that is known. What a model of an unknown name takes, its provider knows."""
    with pytest.raises(ValueError, match=f"the model does not support {message}"):
        await read(config_of(scripted, **settings), request_)
    assert not scripted.exchanges


async def test_slow_reader_is_not_silence(scripted: ScriptedProvider) -> None:
    """The idle timeout measures the provider's silence, not the reader's."""
    scripted.script(ScriptedAnswer("a", Pause(0.1), "b"))
    provider, texts = OpenAIProvider(config_of(scripted, idle_timeout_s=0.3)), []
    async for batch in provider.stream(REQUEST):
        texts += [delta.text for delta in batch if isinstance(delta, TextDelta)]
        await asyncio.sleep(0.5)
    await provider.close()
    assert texts == ["a", "b"]


async def test_closing_the_stream_closes_the_connection(scripted: ScriptedProvider) -> None:
    scripted.script(ScriptedAnswer("a", Stall()))
    provider = OpenAIProvider(config_of(scripted))
    stream = provider.stream(REQUEST)
    assert await anext(stream) == [TextDelta("a")]
    await stream.aclose()
    await asyncio.wait_for(scripted.exchanges[0].closed.wait(), 10)
    await provider.close()


async def test_many_streams_at_once(scripted: ScriptedProvider) -> None:
    """The pool has no limit of its own (aiohttp's is 100)."""
    scripted.script(*[ScriptedAnswer("a", Pause(0.5))] * 120)
    async with open_session() as session:
        provider = OpenAIProvider(config_of(scripted), session)

        async def one() -> Sequence[Delta]:
            return [delta async for batch in provider.stream(REQUEST) for delta in batch]

        answers = await asyncio.gather(*[one() for _ in range(120)])
    assert all(answer[0] == TextDelta("a") for answer in answers)
    assert (
        max(exchange.arrived for exchange in scripted.exchanges)
        < min(exchange.left[0] for exchange in scripted.exchanges) + 0.5 + 1
    )


def test_base_url_must_be_one() -> None:
    with pytest.raises(ValueError, match="out of range"):
        OpenAIProvider(config_at("http://host:99999/v1"))


async def test_session_is_not_opened_without_need() -> None:
    provider = OpenAIProvider(config_at("http://127.0.0.1:1/v1"))
    assert provider.model_info["family"] == "unknown"
    await provider.close()


async def test_a_large_request_arrives_whole(scripted: ScriptedProvider) -> None:
    scripted.script(ScriptedAnswer("ok"))
    text = "word " * 400_000
    await read(config_of(scripted), ModelRequest([UserMessage(content=text, source="user")]))
    assert scripted.exchanges[0].body["messages"][0]["content"] == text
