"""Whatever is sent, the answer is an error in OpenAI's shape that says what is wrong, and the server goes on."""

import asyncio
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import pytest_asyncio
from aiohttp import web

from aiostream_server.config.load import load_config
from tests.kit.serving import Server, serving
from tests.kit.waiting import wait_for
from tests.web.raw import HELLO, head, post, send

MAX_BODY_BYTES: Final = 2_000_000
USER: Final = '{"role":"user","content":"hi"}'
TO_CHAT: Final = "POST /v1/chat/completions HTTP/1.1"
JSON: Final = "Content-Type: application/json"


pytestmark = pytest.mark.asyncio(loop_scope="module")


@asynccontextmanager
async def small_server(folder: Path, **settings: Any) -> AsyncIterator[Server]:
    """Takes only small bodies."""
    config = load_config(None, {})
    settings |= {"max_body_bytes": MAX_BODY_BYTES}
    config = config.model_copy(update={"server": config.server.model_copy(update=settings)})
    async with serving(config, folder) as server:
        yield server


async def goes_on(server: Server) -> None:
    """It still answers, and has no run left."""
    answer = await send(server.url, post())
    assert answer.status == 200
    assert b"2+3 is 5" in answer.body
    assert len(server.state.registry) == 0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    async with small_server(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def server(shared: Server) -> AsyncIterator[Server]:
    yield shared
    await goes_on(shared)


@pytest_asyncio.fixture(loop_scope="module")
async def impatient(tmp_path: Path) -> AsyncIterator[Server]:
    """Waits for a body only a moment."""
    async with small_server(tmp_path, body_timeout_s=0.3) as server:
        yield server
        await goes_on(server)


def chat(**fields: Any) -> bytes:
    return json.dumps({"model": "general", "messages": [{"role": "user", "content": "hi"}], **fields}).encode()


def asked(content: str, **more: str) -> bytes:
    """A body with raw JSON text in it."""
    fields = "".join(f',"{name}":{value}' for name, value in more.items())
    return f'{{"model":"general","messages":{content}{fields}}}'.encode()


@pytest.mark.parametrize(
    ("body", "param", "words"),
    [
        (b"", None, "empty"),
        (b"{", None, "not valid JSON"),
        (HELLO + b"x", None, "not valid JSON"),
        (b"[]", None, "must be a JSON object"),
        (b'"hi"', None, "must be a JSON object"),
        ("{}".encode("utf-16"), None, "not UTF-8"),
        (b"\xef\xbb\xbf" + HELLO, None, "byte order mark"),
        (asked(f"[{USER}]", temperature="NaN"), None, "not valid JSON"),
        (asked(f"[{USER}]", temperature="1e999"), None, "not valid JSON"),
        (asked(f"[{USER}]", seed="9" * 5000), None, "not valid JSON"),
        (asked(r'[{"role":"user","content":"\ud800"}]'), None, "surrogate"),
        (asked(r'[{"role":"user","content":"hi"}]', **{r"\udfff": "1"}), None, "surrogate"),
        (b"[" * 100_000, None, "nested too deeply"),
        (b'{"a":' * 100_000, None, "nested too deeply"),
        (asked("[" * 100_000 + "]" * 100_000), None, "nested too deeply"),
        (b'{"model":"general"}', "messages", "is required"),
        (f'{{"messages":[{USER}]}}'.encode(), "model", "is required"),
        (chat(messages=[]), "messages", "must not be empty"),
        (chat(messages="hi"), "messages", "expected a list"),
        (chat(messages=[[]]), "messages[0]", "expected an object"),
        (chat(messages=[{"role": "wizard", "content": "hi"}]), "messages[0].role", "expected one of system, developer"),
        (chat(messages=[{"role": "user", "content": 1}]), "messages[0].content", "expected a string or a list"),
        (chat(messages=[{"role": "user", "content": " "}]), "messages[0].content", "empty"),
        (chat(messages=[{"role": "system", "content": "x"}]), "messages", "at least one user message"),
        (chat(model=1), "model", "expected a string"),
        (chat(model=""), "model", "must not be empty"),
        (chat(stream="yes"), "stream", "expected true or false"),
        (chat(stream=1), "stream", "expected true or false"),
        (chat(max_tokens=-2), "max_tokens", "at least 1"),
        (chat(max_tokens=True), "max_tokens", "expected an integer"),
        (chat(max_tokens="1e3"), "max_tokens", "expected an integer"),
        (chat(max_tokens="9" * 5000), "max_tokens", "expected an integer"),
        (chat(seed="1"), "seed", "expected an integer"),
        (chat(max_tokens=1.5), "max_tokens", "expected an integer"),
        (chat(temperature=3), "temperature", "at most 2"),
        (chat(n=2), "n", "one answer"),
        (chat(response_format={"type": "xml"}), "response_format.type", "json_schema"),
        (chat(stream_options=[]), "stream_options", "expected an object"),
    ],
)
async def test_what_no_one_can_answer_is_400(server: Server, body: bytes, param: str | None, words: str) -> None:
    answer = await send(server.url, post(body))
    assert answer.status == 400
    assert answer.error["param"] == param
    assert words in answer.error["message"]
    assert answer.error["type"] == "invalid_request_error"
    assert answer.error["code"] == "invalid_request"


@pytest.mark.parametrize("charset", ["nope", "zlib_codec", "utf-16", "idna", '"; drop'])
async def test_a_charset_other_than_utf8_is_400(server: Server, charset: str) -> None:
    answer = await send(server.url, post(content_type=f"application/json; charset={charset}"))
    assert answer.status == 400
    assert "utf-8" in answer.error["message"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "json"])
async def test_another_content_type_is_415(server: Server, kind: str) -> None:
    """What a web page can send without asking the browser first is among these."""
    answer = await send(server.url, post(content_type=kind))
    assert answer.status == 415
    assert answer.error["code"] == "unsupported_media_type"


@pytest.mark.parametrize("body", [HELLO, gzip.compress(HELLO)], ids=["lies", "is"])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "GZIP", "nonsense"])
async def test_a_compressed_body_is_415(
    server: Server, capfd: pytest.CaptureFixture[str], encoding: str, body: bytes
) -> None:
    """It is not even tried to read it: what claims to be compressed and is not fills no log."""
    answer = await send(server.url, post(body, f"Content-Encoding: {encoding}"))
    assert answer.status == 415
    assert "compressed" in answer.error["message"]
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("coding", ["gzip, chunked", "deflate, chunked", "GZIP,chunked", "identity, chunked"])
async def test_a_body_in_another_transfer_coding_is_415(server: Server, coding: str) -> None:
    """The HTTP parser takes it, and reads only the chunks."""
    body = gzip.compress(HELLO)
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    answer = await send(server.url, head(TO_CHAT, JSON, f"Transfer-Encoding: {coding}") + chunks)
    assert answer.status == 415
    assert "compressed" in answer.error["message"]


async def test_a_body_that_says_it_is_too_large_is_413_at_once(server: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(head(TO_CHAT, JSON, f"Content-Length: {MAX_BODY_BYTES + 1}"))
    async with asyncio.timeout(30):
        status = await reader.readline()
    writer.close()
    assert b" 413 " in status


async def test_a_chunked_body_that_grows_too_large_is_413(server: Server) -> None:
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    request = head(TO_CHAT, JSON, "Transfer-Encoding: chunked") + chunk * (MAX_BODY_BYTES // 0x10000 + 2)
    answer = await send(server.url, request + b"0\r\n\r\n")
    assert answer.status == 413
    assert answer.error["code"] == "request_too_large"
    assert str(MAX_BODY_BYTES) in answer.error["message"]


async def test_the_largest_body_is_taken(server: Server) -> None:
    padding = b" " * (MAX_BODY_BYTES - len(HELLO))
    assert (await send(server.url, post(HELLO + padding))).status == 200
    assert (await send(server.url, post(HELLO + padding + b" "))).status == 413


@pytest.mark.parametrize(
    "start",
    [
        head(TO_CHAT, JSON, "Content-Length: 100") + b"{",
        head(TO_CHAT, JSON, "Content-Length: 100"),
        head(TO_CHAT, JSON, "Transfer-Encoding: chunked") + b"1\r\n{\r\n",
        head(TO_CHAT, JSON, "Transfer-Encoding: chunked").replace(b"Connection: close\r\n", b"") + b"1\r\n{\r\n",
    ],
    ids=["one byte", "no byte", "chunked", "kept alive"],
)
async def test_a_body_that_never_finishes_is_408_and_the_connection_closed(impatient: Server, start: bytes) -> None:
    started = time.monotonic()
    answer = await send(impatient.url, start)
    assert time.monotonic() - started >= 0.3
    assert answer.status == 408
    assert answer.error["code"] == "request_timeout"
    assert answer.headers["Connection"] == "close"


async def test_a_body_that_comes_byte_by_byte_has_the_same_deadline(impatient: Server) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(impatient.url.rpartition(":")[2]))
    writer.write(head(TO_CHAT, JSON, "Content-Length: 1000"))
    # Not to the end of the connection: a byte that arrives after the server closed it resets it.
    status_line = asyncio.create_task(reader.readline())
    sent = 0
    while not status_line.done():
        writer.write(b" ")
        sent += 1
        await asyncio.sleep(0.05)
    writer.close()
    assert b" 408 " in await status_line
    assert sent < 1000


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_forgotten(
    server: Server, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(10):
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        writer.write(head(TO_CHAT, JSON, "Content-Length: 100") + b"{")
        await writer.drain()
        writer.transport.abort()
    assert (await send(server.url, post(HELLO))).status == 200  # so the server has accepted the ten before it
    listening = server.runner.server
    assert isinstance(listening, web.Server)
    await wait_for(lambda: not listening.connections, "the server forgets all connections")
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/api/v1", "/api/v1/"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])
async def test_another_method_is_405_and_told_which_is_right(server: Server, method: str, base: str) -> None:
    answer = await send(server.url, head(f"{method} {base}/chat/completions HTTP/1.1"))
    assert answer.status == 405
    assert answer.headers["Allow"] == "POST"
    if method != "HEAD":
        assert answer.error["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    "path",
    [
        "//",
        "/nope",
        "/v1",
        "/v1/models/",
        "/v1/../etc/passwd",
        "/v1/models/a/b",
        "/a%0d%0ab",
        "/%ff%00",
        "/v2/models",
    ],
)
async def test_an_unknown_path_is_404(server: Server, path: str) -> None:
    answer = await send(server.url, head(f"GET {path} HTTP/1.1"))
    assert answer.status == 404
    assert answer.error["code"] == "not_found"


async def test_a_long_path_is_not_repeated_whole(server: Server) -> None:
    answer = await send(server.url, head(f"GET /{'x' * 5000} HTTP/1.1"))
    assert answer.status == 404
    assert len(answer.error["message"]) < 300


@pytest.mark.parametrize("model", ["x" * 100_000, "a\nb", "\0", "😀", "../data", "general "])
async def test_an_unknown_model_is_404_and_not_repeated_whole(server: Server, model: str) -> None:
    answer = await send(server.url, post(chat(model=model)))
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert "there are: auto, general, data" in answer.error["message"]
    assert len(answer.error["message"]) < 300


@pytest.mark.parametrize("name", ["%F0%9F%98%80", "%ff", "%00", "general%0a", "a%2Fb", "x" * 5000])
async def test_an_unknown_model_in_the_path_is_404(server: Server, name: str) -> None:
    answer = await send(server.url, head(f"GET /v1/models/{name} HTTP/1.1"))
    assert answer.status == 404
    assert answer.error["code"] == "model_not_found"
    assert len(answer.error["message"]) < 300


@pytest.mark.parametrize("presentation", ["nope", "Answer", "", "\udcff"])
async def test_an_unknown_presentation_is_400(server: Server, presentation: str) -> None:
    answer = await send(server.url, post(HELLO, f"X-Presentation: {presentation}"))
    assert answer.status == 400
    assert "transcript, reasoning, answer" in answer.error["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/nope", "/v1/chat/completions"])
async def test_every_answer_carries_the_request_id(server: Server, path: str) -> None:
    own = await send(server.url, head(f"GET {path} HTTP/1.1", "X-Request-ID: my.id:1_2-3"))
    assert own.headers["X-Request-ID"] == "my.id:1_2-3"
    ours = await send(server.url, head(f"GET {path} HTTP/1.1"))
    assert ours.headers["X-Request-ID"].startswith("req-")


@pytest.mark.parametrize("garbage", ["", "a b", "x" * 129, "é", '"><script>', "\udcff", "a,b", "%0d%0a"])
async def test_a_garbage_request_id_is_replaced(server: Server, garbage: str) -> None:
    answer = await send(server.url, post(HELLO, f"X-Request-ID: {garbage}"))
    assert answer.status == 200
    assert answer.headers["X-Request-ID"].startswith("req-")
