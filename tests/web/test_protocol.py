"""What is no HTTP, or an odd form of it: refused with 400 and without a traceback in the log, or served."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from tests.kit.process import serving_process
from tests.kit.serving import Server, serving
from tests.web.raw import HELLO, head, parse, post, send
from tests.web.test_keys import keyed

CANARY = "canary-8f14e45fce"
TO_CHAT = "POST /v1/chat/completions HTTP/1.1"
STREAMED = HELLO.replace(b"{", b'{"stream":true,', 1)
BROKEN = {
    "CL+TE": head(TO_CHAT, "Content-Length: 3", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "two lengths": head(TO_CHAT, "Content-Length: 3", "Content-Length: 4") + b"abcd",
    "signed length": head(TO_CHAT, "Content-Length: +3") + b"abc",
    "endless length": head(TO_CHAT, f"Content-Length: {'9' * 30}"),
    "bad chunk size": head(TO_CHAT, "Content-Type: application/json", "Transfer-Encoding: chunked") + b"zz\r\nab\r\n",
    "unknown coding": head(TO_CHAT, "Transfer-Encoding: nonsense") + b"0\r\n\r\n",
    "space in a header's name": head("GET /v1/models HTTP/1.1", f"Bad Header: {CANARY}"),
    "space before the colon": head("GET /v1/models HTTP/1.1", f"Authorization : Bearer {CANARY}"),
    "folded header": head("GET /v1/models HTTP/1.1", "A: b\r\n c"),
    "NUL": head("GET /v1/models HTTP/1.1", f"Authorization: Bearer {CANARY}\0"),
    "long header": head("GET /v1/models HTTP/1.1", f"Authorization: Bearer {CANARY * 1000}"),
    "many headers": head("GET /v1/models HTTP/1.1", *(f"A{number}: b" for number in range(300))),
    "long path": head(f"GET /{CANARY * 1000} HTTP/1.1"),
    "no host": b"GET /v1/models HTTP/1.1\r\n\r\n",
    "two hosts": head("GET /v1/models HTTP/1.1", "Host: localhost"),
    "unknown method": head("FOO /v1/models HTTP/1.1"),
    "unknown version": head("GET /v1/models HTTP/9.9"),
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "noise": bytes(range(256)) + b"\r\n\r\n",
}


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(load_config(None, {}), tmp_path) as running:
        yield running


async def test_what_is_no_http_is_400_and_floods_no_log(tmp_path: Path) -> None:
    """The process as users run it: aiohttp by itself writes a traceback, offending bytes and all, for each."""
    config = '[server]\nport = 0\nlog_format = "json"\n[models.default]\nprovider = "demo"\n'
    async with serving_process(config, tmp_path) as server:
        for name, request in BROKEN.items():
            answer = await send(server.url, request)
            assert answer.status == 400, name
            assert b"Traceback" not in answer.body, name
            assert b".py" not in answer.body, name
        compressed = await send(server.url, post(HELLO, "Content-Encoding: gzip"))
        assert compressed.status == 415
        assert (await send(server.url, post())).status == 200
        server.process.terminate()
        assert await server.end() == 0
    log = "\n".join(server.lines)
    assert "Traceback" not in log
    assert "exc_type" not in log
    assert CANARY not in log
    assert len(server.lines) < 12, log


async def test_a_broken_request_behind_a_good_one_costs_only_itself(server: Server) -> None:
    kept_alive = head("GET /v1/models HTTP/1.1").replace(b"Connection: close\r\n", b"")
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
    writer.write(kept_alive)
    async with asyncio.timeout(60):
        good = parse(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(int(good.headers["Content-Length"]))
        writer.write(BROKEN["CL+TE"])
        broken = parse(await reader.read())
    writer.close()
    assert (good.status, broken.status) == (200, 400)


async def test_pipelined_requests_are_answered_in_order(server: Server) -> None:
    kept_alive = post().replace(b"Connection: close\r\n", b"")
    answer = await send(server.url, kept_alive * 3 + head("GET /v1/models/data HTTP/1.1"))
    assert answer.status == 200
    assert answer.body.count(b"2+3 is 5") == 3
    assert answer.body.endswith(b"}")
    assert b'"id": "data"' in answer.body.rpartition(b"\r\n\r\n")[2]


async def test_an_http_1_0_client_streams_to_the_end_of_the_connection(tmp_path: Path) -> None:
    """No chunks, which it could not read."""
    async with keyed(tmp_path, all=None) as (server, keys):
        request = post(STREAMED, f"X-API-Key: {keys['all']}").replace(b"HTTP/1.1", b"HTTP/1.0", 1)
        answer = await send(server.url, request)
    assert answer.status == 200
    assert "Transfer-Encoding" not in answer.headers
    lines = [line for line in answer.body.split(b"\n\n") if line]
    assert lines[-1] == b"data: [DONE]"
    frames = [json.loads(line.removeprefix(b"data: ")) for line in lines[:-1]]
    assert "2+3 is 5" in "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames)


async def test_without_keys_http_1_0_is_a_proxy_that_nobody_set_up(server: Server) -> None:
    answer = await send(server.url, post(STREAMED).replace(b"HTTP/1.1", b"HTTP/1.0", 1))
    assert answer.status == 403
    assert "keys create" in answer.error["message"]


async def test_an_http_1_1_stream_ends_right_behind_done(server: Server) -> None:
    answer = await send(server.url, post(STREAMED))
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.body.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("path", ["/v1/models", "/v1//models", "/api/v1/models", "/api/v1//models", "/v1/models/auto"])
async def test_head_is_get_without_the_body(server: Server, path: str) -> None:
    get = await send(server.url, head(f"GET {path} HTTP/1.1"))
    answer = await send(server.url, head(f"HEAD {path} HTTP/1.1"))
    assert answer.status == get.status == 200
    assert answer.headers["Content-Length"] == get.headers["Content-Length"] == str(len(get.body))
    assert answer.body == b""


@pytest.mark.parametrize("base", ["/v1", "/v1/", "/api/v1", "/api/v1/"])
async def test_a_base_url_saved_with_a_slash_at_its_end_works(server: Server, base: str) -> None:
    assert (await send(server.url, post(path=f"{base}/chat/completions"))).status == 200


async def test_a_client_that_waits_before_its_body_is_told_to_go_on(server: Server) -> None:
    first = await send(server.url, post(HELLO, "Expect: 100-continue"))
    assert first.status == 100
    assert parse(first.body).status == 200
