"""Starts `aiostream-server` and other programs by a fork of a process that has imported the package already.

A start takes 1.2 s of CPU time, of which the imports are 1.1 s; a fork shares them. The child is a process of its own
and runs the same command line: `runpy` runs it as `python` would, and the interpreter ends as usual. Workers are forks
of their parent, too. Tests of the start itself, of its imports and of its time start a fresh interpreter:
`process.start_afresh`.

Run as a program, this module is that server. It has no threads and no event loop, so that a fork is safe.
"""

import asyncio
import atexit
import fcntl
import gc
import importlib
import json
import os
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn

from aiostream_server.service.workers import process as worker_process

_REQUEST_BYTES: Final = 1024**2
_MOST_DESCRIPTORS: Final = 32
_IMPORTED: Final = (
    *(f"aiostream_server.cli.{name}" for name in ("serve", "check", "ask", "keys", "conversations")),
    *(f"aiostream_server.cli.{name}" for name in ("teams", "teams_show", "teams_try", "teams_add")),
    "aiostream_server.service.server",
    "aiostream_server.service.config_check",
    "aiostream_server.service.trial",
    "aiostream_server.models.openai.provider",
    "aiostream_server.models.demo.provider",
    "aiostream_server.service.metrics.observer",
    "aiostream_server.service.metrics.exposition",
    "aiostream_server.service.steady_loop",
    "aiostream_server.runs.shared.backend",
    "alembic.command",
    "uvloop",
)


class ForkedProcess:
    """One command that runs; the part of `asyncio.subprocess.Process` that tests use."""

    def __init__(
        self,
        pid: int,
        status: asyncio.StreamReader,
        stdin: asyncio.StreamWriter | None,
        stdout: asyncio.StreamReader | None,
        stderr: asyncio.StreamReader | None,
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self._ended = asyncio.create_task(self._until_ended(status), name=f"end of {pid}")

    async def wait(self) -> int:
        """As that of a child: the status, or minus the number of the signal that ended it."""
        return await asyncio.shield(self._ended)

    async def communicate(self, text: bytes | None = None) -> tuple[bytes, bytes]:
        """Write `text` and close stdin, read both outputs to their ends, and wait for the process."""
        stdout, stderr, *_ = await asyncio.gather(_read(self.stdout), _read(self.stderr), self._feed(text), self.wait())
        return stdout, stderr

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def _feed(self, text: bytes | None) -> None:
        if self.stdin is None:
            return
        with suppress(ConnectionError):
            self.stdin.write(text or b"")
            await self.stdin.drain()
        self.stdin.close()

    async def _until_ended(self, status: asyncio.StreamReader) -> int:
        self.returncode = int(await status.readline())
        await status.read()  # to the end, which closes the pipe
        return self.returncode


async def fork(
    command: Sequence[str],
    env: Mapping[str, str],
    *,
    stdin: int | None = None,
    stdout: int,
    stderr: int,
    listening: Sequence[int] = (),
    limit: int = 1024**2,
) -> ForkedProcess:
    """`python COMMAND`: `-m` and a module, or a file, and arguments.

    Streams are file descriptors, `PIPE` or `DEVNULL`; no stdin means `DEVNULL`.

    The sockets `listening` are handed over as systemd does, with `LISTEN_PID` and `LISTEN_FDS`.
    """
    theirs: list[int] = []  # stdin, stdout, stderr, status
    try:
        feeding = _end_of(subprocess.DEVNULL if stdin is None else stdin, theirs, is_read_by_child=True)
        reading = [_end_of(each, theirs, is_read_by_child=False) for each in (stdout, stderr, subprocess.PIPE)]
        request = json.dumps({"command": list(command), "env": dict(env), "cwd": str(Path.cwd())}).encode()
        socket.send_fds(_control(), [request], [*theirs, *listening])
    finally:
        for number in theirs:
            os.close(number)
    out, err, status = [None if number is None else await _reader(number, limit) for number in reading]
    assert status is not None
    pid = int(await status.readline())
    return ForkedProcess(pid, status, None if feeding is None else await _writer(feeding), out, err)


def _end_of(stream: int, theirs: list[int], *, is_read_by_child: bool) -> int | None:
    """Our end of a new pipe; None for `DEVNULL` or a descriptor. Appends the child's end."""
    if stream != subprocess.PIPE:
        theirs.append(os.open(os.devnull, os.O_RDWR) if stream == subprocess.DEVNULL else os.dup(stream))
        return None
    reading, writing = os.pipe()
    theirs.append(reading if is_read_by_child else writing)
    return writing if is_read_by_child else reading


async def _reader(number: int, limit: int) -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit)
    pipe = os.fdopen(number, "rb", 0)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
    return reader


async def _writer(number: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    pipe = os.fdopen(number, "wb", 0)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), pipe
    )
    return asyncio.StreamWriter(transport, protocol, None, loop)


async def _read(stream: asyncio.StreamReader | None) -> bytes:
    return b"" if stream is None else await stream.read()


def start_for_all_forks() -> None:
    """Start the server now, so that forks of this process share it; else each starts its own when it needs one."""
    _control()


@cache
def _control() -> socket.socket:
    """Starts the server; it ends when this process and its forks have, since the other end of its socket is closed."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _REQUEST_BYTES)
    with its:
        server = subprocess.Popen(
            [sys.executable, "-m", __name__, str(its.fileno())],
            pass_fds=[its.fileno()],
            stdin=subprocess.DEVNULL,
            env=os.environ | {"PYTHONWARNINGS": "error"},
        )

    starter = os.getpid()

    def end() -> None:
        ours.close()
        if os.getpid() == starter:
            server.wait()

    atexit.register(end)
    return ours


class _Server:
    """Forks a child for every request, and writes its pid, and its status when it has ended, to a pipe."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._children: dict[
            int, tuple[int, int]
        ] = {}  # descriptor of the process -> its pid, and where its status goes

    def run(self) -> list[str] | None:
        """Serve until the other side is gone; return None then, and in each child its command."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is not self._control:
                    self._tell_the_end(key.fd)
                    continue
                message, descriptors, _, _ = socket.recv_fds(self._control, _REQUEST_BYTES, _MOST_DESCRIPTORS)
                if not message:
                    self._kill_all()
                    return None
                if (command := self._fork(json.loads(message), descriptors)) is not None:
                    return command

    def _fork(self, request: dict[str, object], descriptors: list[int]) -> list[str] | None:
        status = descriptors.pop(3)
        if pid := os.fork():
            for number in descriptors:
                os.close(number)
            process = os.pidfd_open(pid)
            self._children[process] = (pid, status)
            self._selector.register(process, selectors.EVENT_READ)
            os.write(status, b"%d\n" % pid)
            return None
        self._selector.close()
        self._control.close()
        os.close(status)
        for process, (_, other) in self._children.items():
            os.close(process)
            os.close(other)
        return _become(request, descriptors)

    def _tell_the_end(self, process: int) -> None:
        self._selector.unregister(process)
        pid, status = self._children.pop(process)
        _, ended = os.waitpid(pid, 0)
        with suppress(BrokenPipeError):
            os.write(status, b"%d\n" % os.waitstatus_to_exitcode(ended))
        os.close(status)
        os.close(process)

    def _kill_all(self) -> None:
        for pid, _ in self._children.values():
            os.kill(pid, signal.SIGKILL)


def _become(request: dict[str, object], descriptors: list[int]) -> list[str]:
    """What an `exec` and a new interpreter would have done: descriptors from 0 on, streams, environment, folder."""
    aside = [fcntl.fcntl(number, fcntl.F_DUPFD, 100) for number in descriptors]
    for number in descriptors:
        os.close(number)
    for place, number in enumerate(aside):
        os.dup2(number, place)
        os.close(number)
    env, cwd, command = request["env"], request["cwd"], request["command"]
    assert isinstance(env, dict)
    assert isinstance(cwd, str)
    assert isinstance(command, list)
    os.environ.clear()
    os.environ.update(env)
    encoding, buffering = env.get("PYTHONIOENCODING"), 1 if env.get("PYTHONUNBUFFERED") else -1
    sys.stdin, sys.stdout = os.fdopen(0, closefd=False), os.fdopen(1, "w", buffering, encoding, closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)
    sys.path[0:0] = filter(None, env.get("PYTHONPATH", "").split(os.pathsep))
    if listening := len(descriptors) - 3:
        os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": str(listening)}
    os.chdir(cwd)
    random.seed()
    return command


def _run(command: list[str]) -> None:
    """As `python COMMAND` would."""
    sys.orig_argv = [sys.executable, *command]  # a parent starts its workers by it
    if command[0] == "-m":
        sys.argv[1:] = command[2:]
        runpy.run_module(command[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv[:] = command
        sys.path.insert(0, str(Path(command[0]).parent))
        runpy.run_path(command[0], run_name="__main__")


class _ForkedWorker(subprocess.Popen[bytes]):
    """A worker: a fork of its parent, which serves nothing and has no threads and no event loop."""

    def _execute_child(self, args: list[str], *settings: Any) -> None:
        inherited: Sequence[int] = settings[3]  # pass_fds
        self.pid = os.fork()
        if not self.pid:
            _become_worker(args[1:], inherited)
        self._child_created = True


def _become_worker(command: list[str], inherited: Sequence[int]) -> NoReturn:
    """What an `exec` does to signals and sockets. The frames of the parent stay below, so nothing of it is freed."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            if callable(signal.getsignal(number)):
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for each in gc.get_objects():
            if issubclass(type(each), socket.socket) and each.fileno() not in inherited:
                each.close()
        gc.freeze()
        random.seed()
        _run(command)
        status = 0
    except SystemExit as exc:
        status = exc.code if isinstance(exc.code, int) else int(exc.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        with suppress(BaseException):
            threading._shutdown()  # type: ignore[attr-defined]
            atexit._run_exitfuncs()
            sys.stdout.flush()
        os._exit(status)


def main() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    with closing(socket.socket(fileno=int(sys.argv[1]))) as control:
        command = _Server(control).run()
    if command is not None:
        vars(worker_process)["subprocess"] = SimpleNamespace(Popen=_ForkedWorker)
        # The server thaws all objects at its end: a collection of those that the fork shares would copy their memory.
        atexit.register(gc.freeze)
        _run(command)


if __name__ == "__main__":
    main()
