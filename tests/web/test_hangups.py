"""A client that hangs up is noticed within seconds, also when much stands behind its question and nothing is read.

On both event loops, over TCP, TLS and Unix sockets.
"""

import asyncio
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Final, NamedTuple

import pytest
from aiohttp import web

from aiostream_server.config.model import Config
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, config_for, sample_team, serving, until_idle
from tests.kit.tls import Files, make_files, serving_tls, tls_connected
from tests.kit.waiting import DEADLINE_S
from tests.web.bare_client import WAYS, Leaving, connected, leave, no_longer_than, question, until
from tests.web.test_disconnect import on_both_loops

_NOTICED_S: Final = 3.0
_HEALTH: Final = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
_BEHIND: Final = {
    "40 requests": _HEALTH * 40,
    "10,000 requests": _HEALTH * 10_000,
    "a large body": question("solo", padding="x" * 4_000_000),
    "half a large body": question("solo", padding="x" * 8_000_000)[:4_000_000],
    "no HTTP": b"\0\xff" * 1_500_000,
}


class Case(NamedTuple):
    way: Leaving
    stream: bool
    behind: str


CASES: Final = [Case(way, stream, behind) for way in WAYS for stream in (True, False) for behind in _BEHIND]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("tls"))


def _config(provider: ScriptedProvider, *answers: ScriptedAnswer) -> Config:
    limits = {"max_runs": len(CASES), "queue_size": 0}
    # No heartbeat tells of the end: a write would.
    server = {"heartbeat_s": 300.0, "whole_heartbeat_s": 300.0, "max_body_bytes": 16 * 1024**2}
    provider.script(*answers, *[ScriptedAnswer("a", Stall())] * len(CASES))
    return config_for(provider.base_url, sample_team("solo"), limits=limits, server=server)


async def _push(client: socket.socket, content: bytes) -> None:
    """Send as much as the server reads, without waiting for answers."""
    with suppress(TimeoutError):
        async with asyncio.timeout(0.5):
            await asyncio.get_running_loop().sock_sendall(client, content)


async def _all_leave(server: Server, provider: ScriptedProvider, cases: Sequence[Case]) -> None:
    """All ask, and push; then all leave: their slots are free within seconds."""
    async with AsyncExitStack() as stack:
        clients = []
        for case in cases:
            asked = question("solo", stream=case.stream)
            clients.append(await stack.enter_async_context(connected(server.url, asked)))
        await until(lambda: len(provider.exchanges) == len(cases))
        await asyncio.gather(*map(_push, clients, [_BEHIND[case.behind] for case in cases]))
        assert len(server.state.registry) == len(cases)
        async with no_longer_than(_NOTICED_S):
            for client, case in zip(clients, cases, strict=True):
                leave(client, case.way)
            await until_idle(server)


@on_both_loops
async def test_every_way_to_leave_with_anything_behind_the_question(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider, serving(_config(provider), tmp_path) as server:
        await _all_leave(server, provider, CASES)


@on_both_loops
async def test_behind_tls(tmp_path: Path, files: Files) -> None:
    cases = [(way, behind) for way in WAYS for behind in ("40 requests", "a large body")]
    async with (
        ScriptedProvider() as provider,
        serving_tls(_config(provider), tmp_path, files) as server,
        AsyncExitStack() as stack,
    ):
        clients = []
        for _, behind in cases:
            connecting = tls_connected(server.url, question("solo", stream=False), files.trusting)
            client = await stack.enter_async_context(connecting)
            client.settimeout(0.3)
            with suppress(TimeoutError):
                await asyncio.to_thread(client.sendall, _BEHIND[behind])
            clients.append(client)
        await until(lambda: len(provider.exchanges) == len(cases))
        async with no_longer_than(_NOTICED_S):
            for client, (way, _) in zip(clients, cases, strict=True):
                socket.socket.shutdown(client, socket.SHUT_WR) if way == "half-close" else leave(client, way)
            await until_idle(server)


@on_both_loops
async def test_on_a_unix_socket(tmp_path: Path) -> None:
    async with (
        ScriptedProvider() as provider,
        serving(_config(provider), tmp_path) as server,
        AsyncExitStack() as stack,
    ):
        path = str(tmp_path / "server.sock")
        await web.UnixSite(server.runner, path).start()
        clients = []
        for _ in _BEHIND:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            await asyncio.get_running_loop().sock_connect(client, path)
            await asyncio.get_running_loop().sock_sendall(client, question("solo", stream=False))
            clients.append(client)
        await until(lambda: len(provider.exchanges) == len(clients))
        await asyncio.gather(*map(_push, clients, _BEHIND.values()))
        assert len(server.state.registry) == len(clients)
        async with no_longer_than(_NOTICED_S):
            for client in clients:
                leave(client, "FIN")
            await until_idle(server)


@on_both_loops
async def test_requests_behind_a_question_are_answered_in_turn(tmp_path: Path) -> None:
    """A client that stays loses nothing, however long the question takes."""
    async with (
        ScriptedProvider() as provider,
        serving(_config(provider, ScriptedAnswer("done", before_s=2.5)), tmp_path) as server,
        connected(server.url, question("solo", stream=False) + _HEALTH * 60) as client,
    ):
        answers = b""
        async with asyncio.timeout(DEADLINE_S):
            while answers.count(b"HTTP/1.1 200") < 61:
                answers += await asyncio.get_running_loop().sock_recv(client, 64 * 1024)
        assert b"done" in answers
        assert b"Connection: close" not in answers


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@on_both_loops
async def test_more_behind_a_question_than_is_read_makes_it_the_last_of_its_connection(
    tmp_path: Path, stream: bool
) -> None:
    async with (
        ScriptedProvider() as provider,
        serving(_config(provider, ScriptedAnswer("begun, ", "done", pause_s=2.0)), tmp_path) as server,
    ):
        async with connected(server.url, question("solo", stream=stream) + _BEHIND["a large body"]) as client:
            answers = b""
            async with asyncio.timeout(DEADLINE_S):
                while part := await asyncio.get_running_loop().sock_recv(client, 64 * 1024):
                    answers += part
        assert b"done" in answers
        assert answers.count(b"HTTP/1.1") == 1
        assert (b"Connection: close" in answers) is not stream  # a stream's headers were sent before
        assert len(provider.exchanges) == 1
