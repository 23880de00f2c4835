"""Nothing that reads the output slowly, or not at all, holds up the program; what is lost is counted and told."""

import asyncio
import fcntl
import json
import os
import re
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.service.output import LAST_LINES_S, QueuedOutput
from tests.kit.process import start, until_gone
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking
from tests.kit.waiting import wait_for

_CONFIGURED: Final = """
import logging, os, sys, threading, time, warnings, structlog
from aiostream_server.service.logging import configure_logging
from aiostream_server.service.output import queue_output
queue_output()
configure_logging("info", "json")
log = structlog.get_logger("aiostream_server.somewhere")
def tell(*said):
    os.write(3, " ".join(map(str, (*said, os.linesep))).encode())
"""
_FLOOD: Final = """
longest = 0.0
for number in range(800):
    began = time.monotonic()
    log.info("flood", number=number, filler="x" * 8_000)
    longest = max(longest, time.monotonic() - began)
tell(longest)
"""
_FLOOD_LINES: Final = 800


@asynccontextmanager
async def scripted(script: str, stderr: int) -> AsyncIterator[tuple[asyncio.subprocess.Process, asyncio.StreamReader]]:
    """A process with this stderr, and what it tells on descriptor 3."""
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", f"import os; os.dup2({write}, 3)\n{_CONFIGURED}{script}"),
        stderr=stderr,
        pass_fds=(write,),
        env={**os.environ, "PYTHONWARNINGS": "default"},
    )
    os.close(write)
    told = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(told), os.fdopen(read, "rb", buffering=0)
    )
    try:
        yield process, told
    finally:
        transport.close()
        if process.returncode is None:
            process.kill()
        await process.wait()


def unread_pipe() -> tuple[int, int | None]:
    read, write = os.pipe()
    return write, read


def non_blocking_pipe() -> tuple[int, int | None]:
    """As a program that shares the pipe may have made it."""
    write, read = unread_pipe()
    fcntl.fcntl(write, fcntl.F_SETFL, fcntl.fcntl(write, fcntl.F_GETFL) | os.O_NONBLOCK)
    return write, read


def unread_socket() -> tuple[int, int | None]:
    """journald hands out stream sockets."""
    ours, theirs = socket.socketpair()
    return theirs.detach(), ours.detach()


def closed_pipe() -> tuple[int, int | None]:
    read, write = os.pipe()
    os.close(read)
    return write, None


def full_disk() -> tuple[int, int | None]:
    return os.open("/dev/full", os.O_WRONLY), None


SINKS: Final[dict[str, Callable[[], tuple[int, int | None]]]] = {
    "unread pipe": unread_pipe,
    "non-blocking pipe": non_blocking_pipe,
    "unread socket": unread_socket,
    "closed pipe": closed_pipe,
    "full disk": full_disk,
}


@pytest.mark.parametrize("sink", SINKS)
async def test_no_line_waits_for_a_sink_and_the_process_ends_in_time(sink: str) -> None:
    """6 MiB of lines: more than the pipe and the queue hold. A blocking write would never return."""
    write, read = SINKS[sink]()
    try:
        async with scripted(_FLOOD, write) as (process, told):
            longest_s = float(await told.readline())
            said_at = time.monotonic()
            await process.wait()
            ended_s = time.monotonic() - said_at
        assert process.returncode == 0
        print(f"{sink}: the longest line took {1000 * longest_s:.1f} ms, the end {ended_s:.2f} s")
        assert longest_s < 20
        assert ended_s < LAST_LINES_S + 20
    finally:
        os.close(write)
        if read is not None:
            os.close(read)


@pytest.mark.parametrize("sink", ["unread pipe", "non-blocking pipe", "unread socket"])
async def test_what_was_dropped_is_told_when_it_is_read_again(sink: str) -> None:
    write, read = SINKS[sink]()
    assert read is not None
    lines: list[dict[str, Any]] = []
    async with scripted(f"{_FLOOD}time.sleep(600)\n", write) as (process, told):
        os.close(write)
        await told.readline()
        with os.fdopen(read, "rb") as pipe:

            def read_all() -> None:
                lines.extend(map(json.loads, pipe))

            reading = asyncio.create_task(asyncio.to_thread(read_all))
            await wait_for(lambda: any(line["event"] == "output_dropped" for line in lines), "the lines that are lost")
            process.kill()
            await reading
    (dropped,) = [line for line in lines if line["event"] == "output_dropped"]
    numbers = [line["number"] for line in lines if line["event"] == "flood"]
    assert numbers == list(range(len(numbers))), "the first lines, in order"
    assert (dropped["level"], dropped["stream"]) == ("warning", "stderr")
    assert dropped["lines"] == _FLOOD_LINES - len(numbers) > 0


async def test_a_slow_reader_gets_every_line_that_is_written_before_a_normal_end() -> None:
    """And before an end by an exception: its traceback is the last of them."""
    script = (
        'for number in range(300): log.info("line", number=number, filler="x" * 2_000)\nraise ValueError("crash")\n'
    )
    async with scripted(script, asyncio.subprocess.PIPE) as (process, _):
        assert process.stderr is not None
        got = b""
        while piece := await process.stderr.read(16_384):
            got += piece
            await asyncio.sleep(0.002)
        assert await process.wait() == 1
    lines = got.decode().splitlines()
    assert [json.loads(line)["number"] for line in lines[:300]] == list(range(300))
    assert lines[300] == "Traceback (most recent call last):"
    assert lines[-1] == "ValueError: crash"


async def test_whatever_writes_takes_the_same_way() -> None:
    script = """
def fail():
    raise ValueError("in a thread")
class Failing:
    def __del__(self):
        raise ValueError("in a finalizer")
warnings.warn("library's warning")
logging.getLogger("library").warning("library's line")
print("printed", file=sys.stderr)
sys.stderr.buffer.write(b"as bytes\\n")
thread = threading.Thread(target=fail)
thread.start()
thread.join()
failing = Failing()
del failing
child = os.fork()
if not child:
    log.info("in a child")
    os._exit(0)
os.waitpid(child, 0)
tell(sys.stderr.isatty(), sys.stderr.fileno(), sys.stderr.encoding)
"""
    async with scripted(script, asyncio.subprocess.PIPE) as (process, told):
        _, err = await process.communicate()
        assert await told.readline() == b"False 2 utf-8 \n"
    text = err.decode()
    events = [json.loads(line)["event"] for line in text.splitlines() if line.startswith("{")]
    assert [event for event in events if "UserWarning: library's warning" in event]
    assert {"library's line", "in a child"} <= set(events)
    for line in ("printed", "as bytes", "ValueError: in a thread", "ValueError: in a finalizer"):
        assert re.search(rf"^{line}$", text, re.MULTILINE), line


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.integers(1, 30_000), st.integers(0, 65_536)), max_size=60), st.integers(1, 100_000))
def test_what_is_not_written_is_counted(lines: list[tuple[int, int]], max_bytes: int) -> None:
    """Of lines of any size, with reads of any size in between, those that arrive are whole and in order."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    received = b""
    output = QueuedOutput(write, "stderr", max_bytes=max_bytes)
    with closing(os.fdopen(read, "rb", buffering=0)) as pipe, closing(os.fdopen(write, "wb", buffering=0)):
        for number, (size, read_bytes) in enumerate(lines):
            output.write(b"%d %s\n" % (number, b"x" * size))
            received += pipe.read(read_bytes) or b""
        ends_at = time.monotonic() + 60
        while output._queued_bytes and time.monotonic() < ends_at:
            received += pipe.read(65_536) or b""
        output.end()
        while piece := pipe.read(65_536):
            received += piece
    whole = [line.split(" ") for line in received.decode().splitlines()]
    numbers = [int(number) for number, _ in whole]
    assert numbers == sorted(set(numbers))
    assert all(len(text) == lines[number][0] for number, (_, text) in zip(numbers, whole, strict=True))
    assert len(whole) + output.dropped_lines == len(lines)


async def _is_refused(url: str) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
    except ConnectionRefusedError:
        return True
    writer.close()
    return False


_CHATTY: Final = """
[server]
port = 0
log_format = "json"
loop = "{loop}"
[limits]
max_runs = 10
[models.default]
provider = "openai"
model = "scripted"
base_url = "{url}"
[[teams]]
id = "chatty"
factory = "tests.service.teams:writes_a_lot"
[[teams]]
id = "solo"
factory = "tests.kit.sample_teams:solo"
"""


@pytest.mark.parametrize("stops", [1, 2])
async def test_every_client_is_answered_while_nothing_reads_the_log(tmp_path: Path, stops: int) -> None:
    """40 runs write 16 KiB each to stdout and stderr, which nothing reads; pipes hold 64 KiB.

    Then the server ends in time, by one signal, or by a second one while it drains.
    """
    async with ScriptedProvider() as provider, AsyncExitStack() as stack:
        provider.script(lambda _: ScriptedAnswer("hello", Stall()))
        path = tmp_path / "server.toml"
        path.write_text(_CHATTY.format(url=provider.base_url, loop="uvloop" if stops == 1 else "asyncio"), "utf-8")
        process = await start("serve", "--config", str(path), state_directory=tmp_path)
        assert process.stderr is not None
        assert process.stdout is not None
        try:
            while not (line := (await process.stderr.readline()).decode()).startswith("serving "):
                assert line
            url = line.split()[1].removesuffix("/v1")
            for stream in (process.stdout, process.stderr):
                stream._transport.pause_reading()  # type: ignore[attr-defined]
            for _ in range(40):
                answer = await ask(url, "hi", model="chatty")
                assert answer.done
            if stops == 2:
                held = await stack.enter_async_context(asking(url, "hi", model="solo"))
                await anext(held.pieces())
            signalled_at = time.monotonic()
            process.terminate()
            if stops == 2:
                await wait_for(lambda: _is_refused(url), "a closed socket")
                process.terminate()
            await until_gone(process.pid)
            print(f"ended {time.monotonic() - signalled_at:.2f} s after {stops} signals")
        finally:
            if process.returncode is None:
                process.kill()
            for stream in (process.stdout, process.stderr):
                stream._transport.resume_reading()  # type: ignore[attr-defined]
            await process.communicate()
        assert process.returncode == (0 if stops == 1 else 130)
