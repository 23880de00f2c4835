"""Both readers hand on all bytes of an answer, however it is framed and ends; `PushReader` wakes no task for them."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import aiohttp
import pytest
import trustme
import uvloop
from aiohttp.client_proto import ResponseHandler

from aiostream_server.models.openai.push_reader import BytesReader, PullReader, PushReader
from tests.kit.waiting import wait_for

Say: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[None]]
Run: TypeAlias = Callable[[Any], None]

CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


@pytest.fixture(params=[PushReader, PullReader], ids=["push", "pull"])
def reader(request: pytest.FixtureRequest) -> type[BytesReader]:
    chosen: type[BytesReader] = request.param
    return chosen


class Service:
    """Answers each request with the next of `answers`, over as many connections as the client wants."""

    def __init__(self, *answers: Say) -> None:
        self.connections = 0
        self.gone_at: float | None = None
        self._answers = iter(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                await next(self._answers)(writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone_at = time.monotonic()
        finally:
            writer.close()


@asynccontextmanager
async def served(service: Service, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, ssl=context)
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()


async def say(*pieces: bytes, head: bytes = CHUNKED, pause_s: float = 0.02, writer: asyncio.StreamWriter) -> None:
    """Each piece as a chunk and a packet of its own."""
    writer.write(head)
    for piece in pieces:
        await asyncio.sleep(pause_s)
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if head is CHUNKED else piece)
    await asyncio.sleep(pause_s)
    if head is CHUNKED:
        writer.write(b"0\r\n\r\n")
    else:
        writer.close()


def saying(*pieces: bytes, head: bytes = CHUNKED, pause_s: float = 0.02) -> Say:
    return lambda writer: say(*pieces, head=head, pause_s=pause_s, writer=writer)


class Taken:
    """What was handed on, and whether inside a task. Returns False `after` so many reads."""

    def __init__(self, after: int = 1_000) -> None:
        self.pieces: list[bytes] = []
        self.in_a_task: list[bool] = []
        self._after = after

    def __call__(self, data: bytes) -> bool:
        self.pieces.append(data)
        self.in_a_task.append(asyncio.current_task() is not None)
        return bool(data) and len(self.pieces) < self._after


def test_no_task_wakes_for_what_arrives(run: Run) -> None:
    async def main() -> None:
        async with served(Service(saying(b"a", b"b", b"c"))) as url, aiohttp.ClientSession() as session:
            response, taken = await session.post(url), Taken()
            with PushReader(response, idle_s=5, ends_at=float("inf")) as source:
                await source.give(taken)
        assert taken.pieces == [b"a", b"b", b"c", b""]
        assert taken.in_a_task == [False, False, False, True]

    run(main())


def test_reading_what_came_at_once_resumes_nothing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """aiohttp resumes its protocol for each chunk that is read, though it was not paused."""
    resumed: list[ResponseHandler] = []
    resume = ResponseHandler.resume_reading

    def counted(self: ResponseHandler, resume_parser: bool = True) -> None:
        resumed.append(self)
        resume(self, resume_parser)

    monkeypatch.setattr(ResponseHandler, "resume_reading", counted)

    async def at_once(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"1\r\nx\r\n" * 200 + b"0\r\n\r\n")

    async def main() -> None:
        async with served(Service(at_once)) as url, aiohttp.ClientSession() as session:
            response, taken = await session.post(url), Taken()
            resumed.clear()
            with PushReader(response, idle_s=5, ends_at=float("inf")) as source:
                await source.give(taken)
        assert b"".join(taken.pieces) == b"x" * 200

    run(main())
    assert len(resumed) <= 2


@pytest.mark.parametrize("head", [CHUNKED, UNTIL_CLOSED], ids=["chunked", "until closed"])
def test_nothing_is_lost_where_it_stops_and_goes_on(run: Run, head: bytes, reader: type[BytesReader]) -> None:
    async def main() -> None:
        letters = [b"%d " % number for number in range(40)]
        service = Service(saying(*letters, head=head, pause_s=0.001))
        async with served(service) as url, aiohttp.ClientSession() as session:
            response, received = await session.post(url), b""
            with reader(response, idle_s=5, ends_at=float("inf")) as source:
                pause_s = 0.0
                while not received.endswith(b"39 "):
                    taken = Taken(after=2)
                    await source.give(taken)
                    received += b"".join(taken.pieces)
                    await asyncio.sleep(pause_s := 0.005 - pause_s)  # bytes arrive while no task waits, too
            response.close()
        assert received == b"".join(letters)

    run(main())


def test_the_connection_is_used_again(run: Run, reader: type[BytesReader]) -> None:
    """By then it is aiohttp's own once more."""

    async def main() -> None:
        service = Service(saying(b"one"), saying(b"two", b"three"))
        async with served(service) as url, aiohttp.ClientSession() as session:
            response, taken = await session.post(url), Taken()
            with reader(response, idle_s=5, ends_at=float("inf")) as source:
                await source.give(taken)
            again = await session.post(url)
            assert await again.read() == b"twothree"
            assert taken.pieces == [b"one", b""]
            assert service.connections == 1

    run(main())


def test_over_tls(run: Run) -> None:
    authority = trustme.CA()
    at_server, at_client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(at_server)
    authority.configure_trust(at_client)

    async def main() -> None:
        service = Service(saying(b"one", b"two"), saying(b"three"))
        connector = aiohttp.TCPConnector(ssl=at_client)
        async with served(service, at_server) as url, aiohttp.ClientSession(connector=connector) as session:
            for expected in ([b"one", b"two", b""], [b"three", b""]):
                response, taken = await session.post(url), Taken()
                with PushReader(response, idle_s=5, ends_at=float("inf")) as source:
                    await source.give(taken)
                assert taken.pieces == expected
                assert not any(taken.in_a_task[:-1])
            assert service.connections == 1

    run(main())


def test_silence_is_bounded(run: Run) -> None:
    async def stall(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"1\r\na\r\n")
        await asyncio.sleep(30)

    async def main() -> None:
        async with served(Service(stall)) as url, aiohttp.ClientSession() as session:
            response, taken = await session.post(url), Taken()
            started = time.monotonic()
            with (
                PushReader(response, idle_s=0.2, ends_at=float("inf")) as source,
                pytest.raises(aiohttp.SocketTimeoutError),
            ):
                await source.give(taken)
            assert 0.19 < time.monotonic() - started < 10
            assert taken.pieces == [b"a"]
            response.close()

    run(main())


def test_silence_counts_only_while_a_task_waits(run: Run) -> None:
    async def main() -> None:
        async with served(Service(saying(b"a", b"b", pause_s=0.05))) as url, aiohttp.ClientSession() as session:
            response, first, then = await session.post(url), Taken(after=1), Taken()
            with PushReader(response, idle_s=0.5, ends_at=float("inf")) as source:
                await source.give(first)
                await asyncio.sleep(0.8)
                await source.give(then)
            assert first.pieces + then.pieces == [b"a", b"b", b""]

    run(main())


def test_the_whole_answer_is_bounded(run: Run) -> None:
    """However busily it comes."""

    async def main() -> None:
        service = Service(saying(*[b"x"] * 3_000, pause_s=0.01))
        async with served(service) as url, aiohttp.ClientSession() as session:
            response, started = await session.post(url), time.monotonic()
            ends_at = asyncio.get_running_loop().time() + 0.3
            with PushReader(response, idle_s=5, ends_at=ends_at) as source, pytest.raises(TimeoutError):
                await source.give(Taken())
            assert 0.29 < time.monotonic() - started < 25  # the whole takes more than 30 s
            response.close()

    run(main())


@pytest.mark.parametrize("end", ["close", "abort", "nonsense"])
def test_a_connection_that_fails_is_told(run: Run, end: str, reader: type[BytesReader]) -> None:
    async def fail(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED + b"1\r\na\r\n")
        await asyncio.sleep(0.05)
        if end == "nonsense":
            writer.write(b"this is no size of a chunk\r\n")
        elif end == "close":
            writer.close()
        else:
            writer.transport.abort()

    if end == "nonsense" and reader is PullReader:
        pytest.skip("aiohttp tells nothing of this end; the request's own timeout ends the wait")

    async def main() -> None:
        async with served(Service(fail)) as url, aiohttp.ClientSession() as session:
            response, taken = await session.post(url), Taken()
            with (
                reader(response, idle_s=5, ends_at=float("inf")) as source,
                pytest.raises(aiohttp.ClientError),
            ):
                await asyncio.wait_for(source.give(taken), 10)
            assert taken.pieces == [b"a"]
            response.close()

    run(main())


def test_an_error_of_take_is_raised_in_the_waiting_task(run: Run, reader: type[BytesReader]) -> None:
    def fail(_: bytes) -> bool:
        raise ZeroDivisionError

    async def main() -> None:
        service = Service(saying(b"a", b"b"))
        async with served(service) as url, aiohttp.ClientSession() as session:
            response = await session.post(url)
            with reader(response, idle_s=5, ends_at=float("inf")) as source, pytest.raises(ZeroDivisionError):
                await source.give(fail)
            response.close()

    run(main())


def test_a_cancelled_wait_takes_nothing_more(run: Run, reader: type[BytesReader]) -> None:
    """Not even in the moment between the cancel and the end of the task."""

    async def main() -> None:
        service = Service(saying(*[b"x"] * 100_000, pause_s=0.01))
        async with served(service) as url, aiohttp.ClientSession() as session:
            response, taken = await session.post(url), Taken()
            with reader(response, idle_s=5, ends_at=float("inf")) as source:
                waiting = asyncio.create_task(source.give(taken))
                await wait_for(lambda: taken.pieces, "some of the answer")
                waiting.cancel()
                before = len(taken.pieces)
                await asyncio.wait((waiting,))
                await asyncio.sleep(0.05)
            response.close()
            assert waiting.cancelled()
            assert 0 < len(taken.pieces) == before

    run(main())


def test_a_reader_that_takes_nothing_holds_the_provider_up(run: Run, reader: type[BytesReader]) -> None:
    """Only what fits the buffers is received and not taken."""
    sent = 0

    async def flood(writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(CHUNKED)
        while True:
            writer.write(b"10000\r\n" + b"x" * 65_536 + b"\r\n")
            await writer.drain()
            sent += 65_536

    async def main() -> None:
        async with served(Service(flood)) as url, aiohttp.ClientSession() as session:
            response = await session.post(url)
            with reader(response, idle_s=5, ends_at=float("inf")) as source:
                await source.give(Taken(after=3))
                held = -1
                while sent > held:
                    held = sent
                    await asyncio.sleep(0.2)
                assert held < 32 * 1024**2
                taken = Taken(after=400)
                await source.give(taken)
                assert sent > held
            response.close()

    run(main())


def test_a_reader_that_takes_nothing_has_one_read_here_at_most(run: Run) -> None:
    """The rest waits in the kernel: the memory of this process is for clients that read."""

    async def flood(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        while True:
            writer.write(b"400\r\n" + b"x" * 1_024 + b"\r\n")
            await writer.drain()

    async def main() -> None:
        async with served(Service(flood)) as url, aiohttp.ClientSession() as session:
            response = await session.post(url)
            with PushReader(response, idle_s=5, ends_at=float("inf")) as source:
                for _ in range(5):
                    await source.give(Taken(after=2))
                    await asyncio.sleep(0.05)
                    assert response.content.total_bytes
                    assert not response.content.read_nowait()
            response.close()

    run(main())


@pytest.mark.parametrize("count", [20_000, 40_000])
def test_a_read_of_more_chunks_than_aiohttp_takes_at_once_is_given_whole(run: Run, count: int) -> None:
    """It holds some back, goes on while they are taken out, and comes to the end of the answer in the middle."""

    async def begin(writer: asyncio.StreamWriter) -> None:
        writer.write(CHUNKED)
        await asyncio.sleep(1)

    async def main() -> None:
        async with served(Service(begin)) as url, aiohttp.ClientSession() as session:
            response, received = await session.post(url), 0
            with PushReader(response, idle_s=5, ends_at=float("inf")) as source:
                taken = Taken(after=1)
                waiting = asyncio.create_task(source.give(taken))
                await asyncio.sleep(0.05)
                source.data_received(b"1\r\nx\r\n" * count + b"0\r\n\r\n")  # in one read, as a busy loop finds it
                await waiting
                while taken.pieces[-1]:
                    assert len(taken.pieces) == 1  # after False nothing more is handed on
                    received += len(taken.pieces[0])
                    taken = Taken(after=1)
                    await asyncio.wait_for(source.give(taken), 10)
            response.close()
        assert received == count

    run(main())


def test_the_pinned_aiohttp_has_the_private_names_of_the_push_reader() -> None:
    """Without them `PushReader` breaks: then `OpenAIProvider(reader=PullReader)` still works."""
    assert isinstance(ResponseHandler.read_timeout, property)
    assert ResponseHandler.read_timeout.fset is not None
    assert callable(ResponseHandler.start_timeout)
    for name in ("data_received", "eof_received", "connection_lost", "pause_writing", "resume_writing"):
        assert callable(getattr(ResponseHandler, name))
    for name in ("read_nowait", "at_eof", "is_eof", "on_eof"):
        assert callable(getattr(aiohttp.StreamReader, name))
