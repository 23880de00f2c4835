"""TLS keeps the promises of plain HTTP, on both event loops."""

import asyncio
import io
import json
import re
import socket
import ssl
import struct
import time
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Final, Literal, TypeAlias

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.tls.connection import Handshakes
from tests.kit.scripted_provider import Exchange, Gate, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, asking, chat_body, config_for, sample_team, until_idle
from tests.kit.tls import Files, make_files, serving_tls, tls_connected
from tests.kit.waiting import DEADLINE_S
from tests.web.bare_client import no_longer_than, question, until, until_held
from tests.web.connections import kept_for, the_run, transports
from tests.web.test_backpressure import FLOOD, MAX_COST_BYTES
from tests.web.test_disconnect import on_both_loops

Leaving: TypeAlias = Literal["FIN", "RST", "half-close", "goodbye"]
WAYS: Final[tuple[Leaving, ...]] = ("FIN", "RST", "half-close", "goodbye")
NOTICED_S: Final = 0.25


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return make_files(tmp_path_factory.mktemp("tls"))


async def leave(client: ssl.SSLSocket, way: Leaving) -> None:
    match way:
        case "goodbye":
            client.settimeout(0.05)
            with suppress(OSError):  # it has said so, and the server answers with its own or not at all
                await asyncio.to_thread(client.unwrap)
        case "half-close":
            socket.socket.shutdown(client, socket.SHUT_WR)
        case "RST":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.close()
        case "FIN":
            client.close()


@on_both_loops
async def test_every_token_arrives_before_the_next_one_leaves_the_provider(tmp_path: Path, files: Files) -> None:
    """The provider sends the next one only then, so anything that waits for more of the answer would hang."""
    gates = [Gate() for _ in range(4)]
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*[step for gate in gates for step in ("token ", gate)]))
        async with (
            serving_tls(config_for(provider.base_url, sample_team("solo")), tmp_path, files) as server,
            asking(server.url, "hi", model="solo", trusting=files.trusting) as answer,
            asyncio.timeout(DEADLINE_S),
        ):
            assert server.url.startswith("https://")
            waiting = iter(gates)
            async for piece in answer.pieces():
                if "token" in piece:
                    next(waiting).open()
    assert next(waiting, None) is None
    assert answer.done


@pytest.mark.parametrize(("stream", "way"), [*((True, way) for way in WAYS), (False, "FIN")], ids=str)
@on_both_loops
async def test_a_client_that_leaves_is_noticed_while_the_model_is_silent(
    tmp_path: Path, files: Files, stream: bool, way: Leaving
) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a", Stall()))
        config = config_for(provider.base_url, sample_team("solo"))
        async with (
            serving_tls(config, tmp_path, files) as server,
            tls_connected(server.url, question("solo", stream=stream), files.trusting) as client,
        ):
            exchange = await provider.request()
            await exchange.sent(1)
            if stream:
                await asyncio.to_thread(client.recv, 65536)
            await _leaves_and_is_noticed(server, exchange, client, way)


@pytest.mark.parametrize("way", WAYS)
@on_both_loops
async def test_a_client_that_leaves_is_noticed_during_a_write_that_waits(
    tmp_path: Path, files: Files, way: Leaving
) -> None:
    async with ScriptedProvider() as provider:
        provider.script(FLOOD)
        config = config_for(provider.base_url, sample_team("solo"))
        async with (
            serving_tls(config, tmp_path, files) as server,
            tls_connected(server.url, question("solo"), files.trusting) as client,
        ):
            exchange = await provider.request()
            await until_held(provider)
            await _leaves_and_is_noticed(server, exchange, client, way)


async def _leaves_and_is_noticed(server: Server, exchange: Exchange, client: ssl.SSLSocket, way: Leaving) -> None:
    async with no_longer_than(NOTICED_S):
        await leave(client, way)
        await until(lambda: server.state.registry.viewers == 0)
    await until(exchange.closed.is_set)
    await until_idle(server)
    await until(lambda: not transports(server))


@on_both_loops
async def test_a_viewer_that_does_not_read_costs_little(tmp_path: Path, files: Files) -> None:
    async with ScriptedProvider() as provider:
        provider.script(FLOOD)
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": DEADLINE_S})
        async with (
            serving_tls(config, tmp_path, files) as server,
            tls_connected(server.url, question("solo"), files.trusting) as client,
        ):
            await until_held(provider)
            (transport,) = transports(server)
            assert 100_000 < the_run(server).log.size_bytes < MAX_COST_BYTES
            assert kept_for(transport) < 160 * 1024
            assert transport.get_write_buffer_size() <= 32 * 1024
            await leave(client, "RST")
            await until_idle(server)


@on_both_loops
async def test_a_viewer_that_does_not_read_is_thrown_out_in_time(tmp_path: Path, files: Files) -> None:
    async with ScriptedProvider() as provider:
        provider.script(FLOOD)
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 0.5})
        async with serving_tls(config, tmp_path, files) as server:
            started_at = time.monotonic()
            async with tls_connected(server.url, question("solo", path="/v1/runs"), files.trusting):
                await until(lambda: server.state.registry.viewers == 1)
                async with no_longer_than(0.5 + 1.0):
                    await until(lambda: server.state.registry.viewers == 0)
                assert time.monotonic() - started_at >= 0.5
                await until(lambda: not transports(server))
            the_run(server).end("cancelled")


@on_both_loops
async def test_one_that_reads_slowly_but_steadily_gets_all_of_it(tmp_path: Path, files: Files) -> None:
    """It needs longer than one that does not read at all is given."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["x" * 4_000] * 120))
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 1.0})
        async with (
            serving_tls(config, tmp_path, files) as server,
            tls_connected(server.url, question("solo"), files.trusting) as client,
        ):
            received = bytearray()
            started_at = time.monotonic()
            while not received.endswith(b"\r\n0\r\n\r\n"):
                received += await asyncio.to_thread(client.recv, 8_192)
                await asyncio.sleep(0.025)
            assert time.monotonic() - started_at > 1.2
    assert received.count(b"x") >= 4_000 * 120
    assert b"data: [DONE]" in received


@on_both_loops
async def test_an_answer_is_streamed_on_the_event_loops_own_transport_too(tmp_path: Path) -> None:
    """The plain way beside ours (`service.tls.connection.OWN_TRANSPORT`); a renewed certificate counts there, too."""
    files = make_files(tmp_path)
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", "two"))
        config = config_for(provider.base_url, sample_team("solo"))
        async with serving_tls(config, tmp_path, files, own_transport=False) as server:
            async with asking(server.url, "hi", model="solo", trusting=files.trusting) as answer:
                await answer.read_all()
            assert answer.text.endswith("one two")
            assert answer.done
            renewed = make_files(tmp_path)
            server.certificate.reload()
            async with aiohttp.ClientSession() as session:
                async with session.get(f"{server.url}/healthz", ssl=renewed.trusting) as response:
                    assert response.status == 200
                with pytest.raises(aiohttp.ClientConnectorCertificateError):
                    await session.get(f"{server.url}/healthz", ssl=files.trusting)


@on_both_loops
async def test_a_large_body_arrives_whole_and_a_large_answer_too(tmp_path: Path, files: Files) -> None:
    text = "".join(f"{number:07} " for number in range(1_000_000))  # 8 MB
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("y" * 3_000_000))
        config = config_for(provider.base_url, sample_team("solo"))
        async with serving_tls(config, tmp_path, files) as server, aiohttp.ClientSession() as session:
            body = io.BytesIO(json.dumps(chat_body(text, model="solo") | {"stream": False}).encode())
            url, headers = f"{server.url}/v1/chat/completions", {"Content-Type": "application/json"}
            async with session.post(url, data=body, headers=headers, ssl=files.trusting) as response:
                answer = await response.json()
    assert answer["choices"][0]["message"]["content"].count("y") == 3_000_000
    assert provider.exchanges[0].body["messages"][-1]["content"] == text


@on_both_loops
async def test_requests_on_one_connection_however_they_are_cut_are_all_answered(tmp_path: Path, files: Files) -> None:
    """Forty at once are more than aiohttp reads before it has answered some; then single bytes, each in a record."""
    ask = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    async with (
        serving_tls(config_for("http://127.0.0.1:9/v1"), tmp_path, files) as server,
        tls_connected(server.url, ask * 40, files.trusting) as client,
    ):
        received = b""
        while received.count(b'"ok"') < 40:
            received += await asyncio.to_thread(client.recv, 65536)
        for byte in ask:
            await asyncio.to_thread(client.sendall, bytes([byte]))
        while received.count(b'"ok"') < 41:
            received += await asyncio.to_thread(client.recv, 65536)
        assert received.count(b"HTTP/1.1 200 OK") == 41


async def test_an_answer_ends_with_a_goodbye_so_that_none_can_be_cut_short(tmp_path: Path, files: Files) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    async with (
        serving_tls(config_for("http://127.0.0.1:9/v1"), tmp_path, files) as server,
        tls_connected(server.url, request, files.trusting) as client,
    ):
        received = b""
        while piece := await asyncio.to_thread(client.recv, 65536):  # raises where the goodbye is missing
            received += piece
    assert received.endswith(b'{"status": "ok"}')


async def test_old_versions_are_refused_and_http_2_is_not_offered(tmp_path: Path, files: Files) -> None:
    async with serving_tls(config_for("http://127.0.0.1:9/v1"), tmp_path, files) as server:
        address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
        for version, accepted in (
            (ssl.TLSVersion.TLSv1_1, False),
            (ssl.TLSVersion.TLSv1_2, True),
            (ssl.TLSVersion.TLSv1_3, True),
        ):
            found = await asyncio.to_thread(_negotiated, address, files.authority, version)
            assert (found is not None) is accepted
            if found is not None:
                assert found[0] == "http/1.1"
                assert re.search("GCM|CHACHA20", found[1])


def _negotiated(address: tuple[str, int], authority: Path, version: ssl.TLSVersion) -> tuple[str | None, str] | None:
    """Protocol and cipher; None where the handshake fails."""
    context = ssl.create_default_context(cafile=str(authority))
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2", "http/1.1"])
    with pytest.warns(DeprecationWarning, match="TLSv1_1") if version == ssl.TLSVersion.TLSv1_1 else nullcontext():
        context.minimum_version = context.maximum_version = version
    with socket.create_connection(address, timeout=5) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as client:
                cipher = client.cipher()
                assert cipher is not None
                return client.selected_alpn_protocol(), cipher[0]
        except (ssl.SSLError, ConnectionError):
            return None


@on_both_loops
async def test_a_client_without_tls_gets_an_answer_or_is_disconnected_and_others_are_served(
    tmp_path: Path, files: Files
) -> None:
    async with serving_tls(config_for("http://127.0.0.1:9/v1"), tmp_path, files) as server:
        port = int(server.url.rpartition(":")[2])
        plain = await _send_plainly(port, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert plain.startswith(b"HTTP/1.1 400 Bad Request\r\n")
        error = json.loads(plain.partition(b"\r\n\r\n")[2])["error"]
        assert "https://" in error["message"]
        assert error["type"] == "invalid_request_error"
        for garbage in (b"\x00" * 500, b"\x16\x03\x01\xff\xff" + b"\xff" * 500, b"SSH-2.0-OpenSSH\r\n"):
            assert len(await _send_plainly(port, garbage)) < 20  # an alert at most
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"{server.url}/healthz", ssl=files.trusting) as response,
        ):
            assert response.status == 200


async def _send_plainly(port: int, sent: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(sent)
    async with asyncio.timeout(60):
        received = b""
        with suppress(ConnectionError):  # where bytes of ours were not read
            while piece := await reader.read(4096):
                received += piece
    writer.close()
    return received


@on_both_loops
async def test_a_silent_client_is_disconnected(tmp_path: Path, files: Files) -> None:
    served: list[asyncio.Protocol] = []

    def serve() -> asyncio.Protocol:
        served.append(asyncio.Protocol())
        return served[-1]

    door = Handshakes(Certificate(files.certificate, files.key), serve, within_s=0.2)
    server = await asyncio.get_running_loop().create_server(door, "127.0.0.1", 0)
    async with server:
        started_at = time.monotonic()
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        await until(lambda: door.under_way == 1)
        async with no_longer_than(1.0):
            assert await reader.read() == b""
        assert time.monotonic() - started_at >= 0.2
        await until(lambda: door.under_way == 0)
        writer.close()
    assert not served


async def test_a_server_that_stops_finishes_handshakes_within_its_limit(tmp_path: Path, files: Files) -> None:
    async with serving_tls(config_for("http://127.0.0.1:9/v1"), tmp_path, files) as server:
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        await asyncio.sleep(0.05)
        (site,) = server.runner.sites
        async with no_longer_than(2.5):
            await site.stop()
        writer.close()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=3), st.booleans())
def test_random_bytes_end_only_their_own_connection(files: Files, pieces: list[bytes], hello_first: bool) -> None:
    """Also after the first message of a real handshake."""
    with asyncio.Runner() as runner:
        runner.run(_check_ends(files, pieces, hello_first))


async def _check_ends(files: Files, pieces: list[bytes], hello_first: bool) -> None:
    complaints: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: complaints.append(context))
    door = Handshakes(Certificate(files.certificate, files.key), asyncio.Protocol, within_s=2.0)
    async with await loop.create_server(door, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        if hello_first:
            writer.write(_hello())
        for piece in pieces:
            writer.write(piece)
        writer.write_eof()
        with suppress(ConnectionError):
            await reader.read()
        writer.close()
        await until(lambda: door.under_way == 0)
    assert not complaints


def _hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()
