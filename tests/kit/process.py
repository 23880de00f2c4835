"""The commands as users start them: real processes, with real signals."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kit.forkserver import ForkedProcess, fork
from tests.kit.waiting import DEADLINE_S, wait_for


def free_port() -> int:
    """A loopback port that no other program is given before this process ends: a socket stays bound to it.

    A server that sets `SO_REUSEADDR`, as all do, can listen on it, again after a restart, too. Until it does, the port
    refuses connections. A port that was merely free a moment ago may be the local port of some connection by then.
    """
    reserved = socket.socket()
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    reserved.bind(("127.0.0.1", 0))
    port: int = reserved.getsockname()[1]
    reserved.detach()
    return port


@contextmanager
def closed_port() -> Iterator[int]:
    """A loopback port that refuses connections. It is bound, so that no other process is given it meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def process_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on: proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()


def is_running(pid: int) -> bool:
    """Whether the process exists and is no zombie."""
    try:
        return process_stat(pid)[0] != "Z"
    except OSError:
        return False


async def until_gone(*pids: int) -> None:
    """Wait until none of these processes runs; they may be children of another process."""
    await wait_for(lambda: not any(map(is_running, pids)), f"the end of {pids}")


Process = asyncio.subprocess.Process | ForkedProcess


@dataclass(slots=True)
class ServerProcess:
    """`aiostream-server serve`, and what it wrote to stderr so far: a task reads it, so that its pipe is never full."""

    process: Process
    url: str = ""
    lines: list[str] = field(default_factory=list)
    _reading: asyncio.Task[None] | None = None

    @property
    def events(self) -> list[dict[str, Any]]:
        """Its log, where that is JSON."""
        return [json.loads(line) for line in self.lines if line.startswith("{")]

    def named(self, event: str) -> list[dict[str, Any]]:
        return [line for line in self.events if line["event"] == event]

    async def end(self) -> int:
        """Wait until the process has ended, and return its status. All of its output is in `lines` then."""
        async with asyncio.timeout(DEADLINE_S):
            await self._read_to_the_end()
            return await self.process.wait()

    async def until_logged(self, event: str, times: int = 1) -> list[dict[str, Any]]:
        """Wait until this event was logged so many times, and return all its lines."""
        reading = self._read_to_the_end()
        await wait_for(lambda: len(self.named(event)) >= times or reading.done(), f"{times} times {event}")
        assert len(self.named(event)) >= times, f"the process ended before {event}: {self.lines[-5:]}"
        return self.named(event)

    async def until_ready(self) -> None:
        reading = self._read_to_the_end()
        await wait_for(lambda: self.url or reading.done(), "a server that is ready")
        assert self.url, "\n".join(self.lines)

    def _read_to_the_end(self) -> asyncio.Task[None]:
        if self._reading is None:
            self._reading = asyncio.create_task(self._read(), name="read-stderr")
        return self._reading

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.lines.append(line.decode().rstrip("\n"))
            if self.lines[-1].startswith("serving ") and not self.url:
                self.url = self.lines[-1].removeprefix("serving ").removesuffix("/v1")


def environment(state_directory: Path, **extra: str) -> Mapping[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIOSTREAM_")}
    return {**inherited, "STATE_DIRECTORY": str(state_directory), "PYTHONWARNINGS": "error", **extra}


async def start(
    *arguments: str,
    state_directory: Path,
    stdin: int | None = None,
    stdout: int = asyncio.subprocess.PIPE,
    extra: Mapping[str, str] | None = None,
) -> Process:
    """`aiostream-server ARGUMENTS`, with `extra` in its environment.

    What the interpreter itself reads from the environment at its start makes a fresh one necessary.
    """
    if any(name.startswith("PYTHON") and name != "PYTHONIOENCODING" for name in extra or {}):
        return await start_afresh(*arguments, state_directory=state_directory, stdin=stdin, stdout=stdout, extra=extra)
    env, command = environment(state_directory, **(extra or {})), ("-m", "aiostream_server", *arguments)
    return await fork(command, env, stdin=stdin, stdout=stdout, stderr=asyncio.subprocess.PIPE)


async def start_afresh(
    *arguments: str,
    state_directory: Path,
    stdin: int | None = None,
    stdout: int = asyncio.subprocess.PIPE,
    extra: Mapping[str, str] | None = None,
) -> asyncio.subprocess.Process:
    """As `start`, in a new interpreter: takes 1.1 s of CPU time more, for the imports."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "aiostream_server",
        *arguments,
        stdin=stdin,
        stdout=stdout,
        stderr=asyncio.subprocess.PIPE,
        env=environment(state_directory, **(extra or {})),
        limit=1024**2,
    )


@asynccontextmanager
async def serving_process(config: str, folder: Path, *options: str, **extra: str) -> AsyncIterator[ServerProcess]:
    """A server with this TOML and these options; killed at the end of the block if it still runs."""
    path = folder / "server.toml"
    path.write_text(config, "utf-8")
    # Not a pipe: no test reads stdout, and an open pipe would raise a ResourceWarning in a later test.
    nowhere = asyncio.subprocess.DEVNULL
    arguments = ("serve", *options, "--config", str(path))
    process = await start(*arguments, state_directory=folder, stdout=nowhere, extra=extra)
    server = ServerProcess(process)
    try:
        await server.until_ready()
        yield server
    finally:
        if process.returncode is None:
            process.kill()
        await server.end()
