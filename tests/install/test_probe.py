"""How the installed server is asked: against a real one."""

import asyncio
import socket
from pathlib import Path

import pytest

from aiostream_server.config.load import load_config
from scripts.installer.probe import Address, ask_a_question, wait_until_ready
from scripts.installer.steps import Problem
from tests.kit.scripted_provider import HttpError, ScriptedProvider
from tests.kit.serving import config_for, sample_team, serving


def address(url: str) -> Address:
    return Address(port=int(url.rpartition(":")[2]))


async def test_a_server_that_is_ready_and_answers_is_fine(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        await asyncio.to_thread(wait_until_ready, address(server.url), 5)
        assert await asyncio.to_thread(ask_a_question, address(server.url), None) is None


async def test_a_provider_that_fails_is_told_apart_from_the_server(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(HttpError(401, {"error": {"message": "wrong key"}}))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            failure = await asyncio.to_thread(ask_a_question, address(server.url), None)
    assert failure


async def _listen(reply: bytes) -> asyncio.Server:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(reply)
        await writer.drain()
        writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (b"", "a question gets no answer"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\nwhat", "refused with status 500: what"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\ndata: {}\n\n", "breaks off"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\ndata: {}\n\n", "gets no answer"),
        (b"not HTTP at all\r\n\r\n", "gets no answer"),
    ],
)
async def test_an_answer_that_is_none_is_a_problem(reply: bytes, problem: str) -> None:
    server = await _listen(reply)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Problem, match=problem):
            await asyncio.to_thread(ask_a_question, Address(port=port), "aio-key")


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (b"HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\n{}", "status 503"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 23\r\n\r\n{"status": "lame_duck"}', "lame_duck"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", "but: "),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nready", "but: "),
    ],
)
async def test_what_is_not_ready_is_told_when_the_time_is_up(reply: bytes, found: str) -> None:
    server = await _listen(reply)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Problem, match=f"does not say ready within 0.1 s, .*{found}"):
            await asyncio.to_thread(wait_until_ready, Address(port=port), 0.1)


def test_a_closed_port_is_not_ready() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Problem, match="refused"):
            wait_until_ready(Address(port=unused.getsockname()[1]), 0.1)


@pytest.mark.parametrize(
    ("of", "url"),
    [
        (Address(), "http://127.0.0.1:8000"),
        (Address("::1", 9, tls=True), "https://[::1]:9"),
        (Address(unix="/run/x.sock"), "unix:/run/x.sock"),
    ],
)
def test_an_address_reads_as_a_url(of: Address, url: str) -> None:
    assert str(of) == url


async def test_a_unix_socket_is_asked_too(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"status": "ready"}')
        await writer.drain()
        writer.close()

    path = str(tmp_path / "s")
    async with await asyncio.start_unix_server(answer, path):
        await asyncio.to_thread(wait_until_ready, Address(unix=path), 2)
