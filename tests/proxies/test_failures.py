"""What a client sees behind nginx and behind Caddy when the server is not there, or does not answer."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.kit.process import closed_port
from tests.kit.scripted_provider import ScriptedAnswer
from tests.kit.serving import chat_body
from tests.kit.tls import Files
from tests.proxies.front import NAME, PROGRAMS, Program, proxying
from tests.proxies.test_streaming import CHAT, SNI, files, scene

__all__ = ["files"]

SAID = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"

pytestmark = pytest.mark.parametrize("program", PROGRAMS)


def check_shape(answer: httpx.Response, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/json"
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["type"], error["code"]) == ("server_error", code)


@asynccontextmanager
async def hearing(answer: bytes = b"") -> AsyncIterator[tuple[str, list[bytes]]]:
    """Something that listens, and after it has heard a whole request says this and hangs up. What it heard."""
    heard: list[bytes] = []

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        body = reader.readexactly(int(length[1])) if length else reader.readuntil(b"0\r\n\r\n")
        heard.append(head + await body)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(hear, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", heard


@pytest.fixture
def nowhere() -> Iterator[str]:
    """The URL of a server that is not there."""
    with closed_port() as port:
        yield f"http://127.0.0.1:{port}"


async def test_a_server_that_is_not_there_is_a_502_in_openais_shape(
    tmp_path: Path, files: Files, program: Program, nowhere: str
) -> None:
    with proxying(program, [nowhere], tmp_path, files) as front:
        async with front.client(http2=True) as client:
            answer = await client.post(CHAT, json=chat_body("hi"), extensions=SNI)
    check_shape(answer, 502, "bad_gateway")
    assert answer.headers["Retry-After"] == "2"


async def test_an_answer_that_does_not_come_is_a_504(tmp_path: Path, files: Files, program: Program) -> None:
    waits = {"nginx": "proxy_read_timeout 660s;", "caddy": "response_header_timeout 660s"}
    times = {waits[program]: waits[program].replace("660", "1")}
    async with scene(program, False, tmp_path, files, times) as at:
        at.provider.script(ScriptedAnswer("late", before_s=60))
        body = chat_body("hi", model="solo") | {"stream": False}
        answer = await at.client.post(CHAT, json=body, extensions=SNI)
    check_shape(answer, 504, "gateway_timeout")


async def test_another_server_is_asked_where_the_first_is_not_there(
    tmp_path: Path, files: Files, program: Program, nowhere: str
) -> None:
    """So a rolling restart loses no request."""
    async with hearing(SAID) as (url, heard):
        with proxying(program, [nowhere, url], tmp_path, files) as front:
            async with front.client(http2=True) as client:
                answers = [await client.post(CHAT, json=chat_body("hi"), extensions=SNI) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len(heard) == 4


async def test_requests_with_the_same_key_reach_the_same_of_several_servers(
    tmp_path: Path, files: Files, program: Program
) -> None:
    """With the example's own lines for several."""
    lines = {"nginx": "hash $http_authorization$http_x_api_key consistent;", "caddy": "lb_policy header Authorization"}
    async with hearing(SAID) as (first, heard_first), hearing(SAID) as (second, heard_second):
        replaced = {f"#{lines[program]}": lines[program]}
        with proxying(program, [first, second], tmp_path, files, replaced) as front:
            for number in range(12):
                before = len(heard_first), len(heard_second)
                async with front.client(http2=True, key=f"key-{number}") as client:
                    for _ in range(3):
                        assert (await client.post(CHAT, json={}, extensions=SNI)).status_code == 200
                assert (len(heard_first) - before[0], len(heard_second) - before[1]) in [(3, 0), (0, 3)]
    assert heard_first
    assert heard_second


async def test_a_question_that_has_begun_is_never_asked_again(tmp_path: Path, files: Files, program: Program) -> None:
    """The server that hung up may have begun to work."""
    async with hearing() as (first, heard_first), hearing() as (second, heard_second):
        with proxying(program, [first, second], tmp_path, files) as front:
            async with front.client(http2=True) as client:
                for asked in range(1, 5):
                    answer = await client.post(CHAT, json=chat_body("hi"), extensions=SNI)
                    check_shape(answer, 502, "bad_gateway")
                    assert len(heard_first) + len(heard_second) == asked


async def test_plain_http_is_sent_to_https_with_its_method(
    tmp_path: Path, files: Files, program: Program, nowhere: str
) -> None:
    with proxying(program, [nowhere], tmp_path, files) as front:
        async with httpx.AsyncClient(trust_env=False) as client:
            answer = await client.post(f"{front.plain_url}{CHAT}", headers={"Host": NAME})
    assert answer.status_code == 308
    assert answer.headers["Location"].startswith(f"https://{NAME}")
    assert answer.headers["Location"].endswith(CHAT)


async def test_a_hundred_streams_are_whole(tmp_path: Path, files: Files, program: Program) -> None:
    async with scene(program, True, tmp_path, files) as at:
        at.provider.script(lambda _: ScriptedAnswer(*["x "] * 5, pause_s=0.01))

        async def ask() -> str:
            async with at.asking() as response:
                body: bytes = await response.aread()
                return body.decode()

        answers = await asyncio.gather(*(ask() for _ in range(100)))
    assert all(answer.endswith("data: [DONE]\n\n") and answer.count("x ") == 5 for answer in answers)
