"""Listening sockets that another process has opened: `systemd-socket-activate`, and the test itself."""

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ConfigError
from aiostream_server.service.sockets import Listening, listen
from aiostream_server.service.systemd import adopt_sockets
from tests.kit.needs import needs
from tests.kit.process import environment
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, asking
from tests.kit.waiting import wait_for
from tests.service.manager import activated, launch
from tests.service.stopping import connected, until_read
from tests.web.raw import parse, post

OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    (socket.SOL_SOCKET, socket.SO_SNDBUF),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    (socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT),
)
NEEDS_SYSTEMD = needs("systemd")


@asynccontextmanager
async def scripted(*answers: ScriptedAnswer) -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        provider.script(*answers)
        yield provider


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        provider.script(lambda _: ScriptedAnswer("hello"))
        yield provider


@pytest.fixture
def tcp() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.fixture
def unix(tmp_path: Path) -> Iterator[socket.socket]:
    with unix_socket(tmp_path / "http") as listening:
        yield listening


def unix_socket(path: Path) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()
    return listening


def url_of(listening: socket.socket) -> str:
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def config_toml(provider: ScriptedProvider, server: str = "") -> str:
    """Its own address is another one, which it must not bind."""
    model = f'[models.default]\nprovider = "openai"\nmodel = "scripted"\nbase_url = "{provider.base_url}"'
    team = '[[teams]]\nid = "solo"\nfactory = "tests.kit.sample_teams:solo"'
    return f'[server]\nhost = "192.0.2.1"\nport = 1\nlog_format = "json"\n{server}\n{model}\n{team}'


async def answered_on(path: str) -> bytes:
    """What a question through a unix socket brings."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(post(b'{"model":"solo","messages":[{"role":"user","content":"hi"}]}'))
    answer = parse(await reader.read())
    writer.close()
    await writer.wait_closed()
    assert answer.status == 200
    return answer.body


@pytest.mark.parametrize("server", ["", 'loop = "asyncio"', "workers = 2"], ids=["uvloop", "asyncio", "workers"])
async def test_each_socket_is_served_with_the_options_of_our_own_and_stays_when_the_server_ends(
    tmp_path: Path, provider: ScriptedProvider, tcp: socket.socket, unix: socket.socket, server: str
) -> None:
    path = unix.getsockname()
    with socket.create_server(("127.0.0.1", 0)) as other, closing(listen("127.0.0.1", 0)) as ours:
        sockets = (tcp, other, unix)
        async with activated(config_toml(provider, f"lame_duck_s = 60\n{server}"), tmp_path, sockets) as process:
            assert process.url == url_of(tcp)
            (adopted,) = process.named("sockets_adopted")
            assert adopted["urls"] == [url_of(tcp), url_of(other), f"http://unix:{path}:"]
            for each in (tcp, other):
                assert "hello" in (await ask(url_of(each), "hi", model="solo")).text
                assert [each.getsockopt(*option) for option in OPTIONS] == [ours.getsockopt(*it) for it in OPTIONS]
            assert b"hello" in await answered_on(path)
            pids = [process.process.pid, *(line["pid"] for line in process.named("worker_ready"))]
            are_kept = [flag for pid in pids for flag in close_on_exec(pid, tcp)]
            assert are_kept == [True] * len(pids), "no program that it starts gets the sockets"
            stopped_at = time.monotonic()
            process.process.terminate()
            assert await process.end() == 0
            assert time.monotonic() - stopped_at < 30, "without connections there is nothing to wait for"
        with socket.create_connection(tcp.getsockname()), socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def close_on_exec(pid: int, listening: socket.socket) -> list[bool]:
    """Of each descriptor of that socket in that process: O_CLOEXEC is 0o2000000."""
    link = f"socket:[{os.fstat(listening.fileno()).st_ino}]"
    found = [fd.name for fd in Path(f"/proc/{pid}/fd").iterdir() if str(fd.readlink()) == link]
    infos = [Path(f"/proc/{pid}/fdinfo/{name}").read_text("ascii") for name in found]
    return [bool(int(info.partition("flags:")[2].split()[0], 8) & 0o2000000) for info in infos]


def sockets_that_cannot_be_served(stack: ExitStack, kind: str) -> Sequence[socket.socket]:
    match kind:
        case "datagrams":
            return [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))]
        case "silent":
            return [stack.enter_context(socket.socket())]
        case "connection":
            listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            stack.enter_context(socket.create_connection(listening.getsockname()))
            return [listening, stack.enter_context(listening.accept()[0])]
        case "netlink":
            return [stack.enter_context(socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))]
    return [stack.enter_context(socket.create_server(("0.0.0.0", 0)))]


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("datagrams", "socket activation: descriptor 3 (http) is no stream socket: ListenStream= makes one"),
        ("silent", "socket activation: descriptor 3 (http) does not listen: Accept=no hands over the socket that does"),
        ("connection", "socket activation: descriptor 4 (unknown) does not listen: Accept=no hands over the socket"),
        ("netlink", "socket activation: descriptor 3 (http) is neither a TCP nor a unix socket"),
        ("everybody", "[server] host: without API keys only a loopback address"),
    ],
)
async def test_a_socket_that_cannot_be_served_is_one_clear_line(tmp_path: Path, kind: str, line: str) -> None:
    with ExitStack() as stack:
        sockets = sockets_that_cannot_be_served(stack, kind)
        process = await launch(["serve"], sockets, tmp_path, LISTEN_FDNAMES="http")
        _, errors = await process.communicate()
    assert process.returncode == 1
    assert [said for said in errors.decode().splitlines() if said.startswith(line)]
    assert b"Traceback" not in errors


@pytest.mark.parametrize("given", ["many", "-1", "1.0", "²", "0x1", "1" * 5000])
def test_a_number_of_sockets_is_a_number(given: str) -> None:
    with pytest.raises(ConfigError, match="LISTEN_FDS: expected a number of sockets"):
        adopt_sockets({"LISTEN_FDS": given, "LISTEN_PID": "7"}, 7)


def test_descriptors_that_are_not_there_are_one_clear_line() -> None:
    adopting = "adopt_sockets(dict(LISTEN_FDS='2', LISTEN_PID='7'), 7)"
    code = f"from aiostream_server.service.systemd import adopt_sockets; {adopting}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "socket activation: descriptor 3 (unknown) is no socket: Bad file descriptor" in done.stderr


@pytest.mark.parametrize(
    "variables",
    [{}, {"LISTEN_FDS": "1"}, {"LISTEN_FDS": "1", "LISTEN_PID": "8"}, {"LISTEN_FDS": "", "LISTEN_PID": "7"}],
)
def test_sockets_that_are_not_for_this_process_are_left_alone(variables: dict[str, str]) -> None:
    assert adopt_sockets(variables, 7) == ()


def test_an_abstract_name_is_shown_with_an_at() -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("\0aiostream-test")
        assert Listening((listening,), is_adopted=True).urls(ServerConfig()) == ("http://unix:@aiostream-test:",)
        assert Listening((listening,)).hosts == ()


@NEEDS_SYSTEMD
async def test_systemd_starts_it_with_the_first_connection(tmp_path: Path, provider: ScriptedProvider) -> None:
    """`systemd-socket-activate` listens on TCP and on a unix socket, and becomes the server at the first connection."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    config, path = tmp_path / "server.toml", tmp_path / "http"
    config.write_text(config_toml(provider), "utf-8")
    async with activated_by_systemd(["--listen", f"127.0.0.1:{port}", "--listen", str(path)], config) as process:
        await wait_for(path.exists, "systemd-socket-activate listens")
        answer = await ask(f"http://127.0.0.1:{port}", "hi", model="solo")  # waits in the socket's queue meanwhile
        assert "hello" in answer.text
        assert b"hello" in await answered_on(str(path))
        process.terminate()
        assert await process.wait() == 0


@asynccontextmanager
async def activated_by_systemd(listens: Sequence[str], config: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    passed = environment(config.parent, PYTHONPATH=str(Path(__file__).parents[2]))
    server = (sys.executable, "-m", "aiostream_server", "serve", "--config", str(config))
    process = await asyncio.create_subprocess_exec(
        *("systemd-socket-activate", *listens, *(f"--setenv={name}={value}" for name, value in passed.items())),
        *server,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        limit=1024**2,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def test_a_server_that_hands_over_answers_what_still_comes_and_keeps_no_connection(
    tmp_path: Path, tcp: socket.socket
) -> None:
    """Requests on accepted connections are answered, a body on its way included; each is the last one on its own.

    Idle connections are closed while streams go on. New connections wait for the next server.
    """
    gate = Gate()
    async with (
        scripted(ScriptedAnswer("a ", gate, "b"), ScriptedAnswer("hello"), ScriptedAnswer("hello")) as provider,
        activated(config_toml(provider), tmp_path, [tcp]) as server,
        asking(server.url, "hi", model="solo") as answer,
        connected(server) as asker,
        connected(server) as idler,
        connected(server) as slow,
    ):
        await anext(answer.pieces())
        for _, writer in (asker, idler):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        for reader, _ in (asker, idler):
            await reader.readuntil(b'{"status": "ok"}')
        slow[1].write(question_to_solo()[:-10])
        await until_read(server)
        server.process.terminate()
        stopped_at = time.monotonic()
        await server.until_logged("server_stopping")
        asker[1].write(question_to_solo())
        last = parse(await asker[0].read())
        assert (last.status, last.headers["Connection"]) == (200, "close")
        assert b"hello" in last.body
        assert await idler[0].read() == b""
        assert time.monotonic() - stopped_at >= 0.9
        assert server.process.returncode is None
        slow[1].write(question_to_solo()[-10:])
        late = parse(await slow[0].read())
        assert (late.status, late.headers["Connection"]) == (200, "close")
        async with connected(server) as (reader, writer):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await reader.read(1)
        gate.open()
        await answer.read_all()
        assert await server.end() == 0
    assert "a b" in answer.text
    assert answer.done


def question_to_solo() -> bytes:
    return post(b'{"model":"solo","messages":[{"role":"user","content":"hi"}]}').replace(b"Connection: close\r\n", b"")
