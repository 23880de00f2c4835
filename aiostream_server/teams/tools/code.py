"""Runs Python code that a model writes, in a folder of the run, which is removed with the run.

The code runs in a Docker container, or, with `executor = "local"`, as the server's own user, without a sandbox.
"""

import asyncio
import importlib
import os
import secrets
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Final

import structlog
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor
from autogen_core.tools import FunctionTool, StaticWorkbench, Workbench

from aiostream_server.config.model import CodeToolConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.teams.tools.process import run_program
from aiostream_server.teams.tools.scope import ConfiguredTool, RunScope, limited
from aiostream_server.text import one_line

_FOLDER: Final = "code"
_DOCKER: Final = "unix:///var/run/docker.sock"
_SCRIPT: Final = "script.py"
_CHUNK_BYTES: Final = 64 * 1024
_TIMED_OUT: Final = 124  # the exit status of the program `timeout`

_log = structlog.get_logger()


class CodeTool(ConfiguredTool):
    """A `[tools.NAME]`. A run that does not use it starts nothing."""

    def __init__(self, name: str, config: CodeToolConfig, state_directory: Path) -> None:
        self._name: Final = name
        self._config: Final = config
        self._folder: Final = state_directory / _FOLDER
        _remove_abandoned(self._folder)

    def workbench(self, scope: RunScope) -> Workbench:
        runner = CodeRunner(self._config, self._folder / f"{os.getpid()}-{secrets.token_hex(8)}")
        scope.on_close(runner.close)
        description = "Run a Python script and read what it prints."
        return StaticWorkbench([FunctionTool(runner.run, name=self._name, description=description)])

    async def problem(self) -> str | None:
        if self._config.executor == "local":
            return None
        try:
            await asyncio.to_thread(_ping_docker)
        except Exception as exc:  # the docker package raises many kinds of errors
            return _no_docker(exc)
        return None


class CodeRunner:
    """Runs the code of one run, one piece at a time. Makes its folder, and starts a container, with the first code."""

    def __init__(self, config: CodeToolConfig, folder: Path) -> None:
        self._config: Final = config
        self._folder: Final = folder
        self._turn: Final = asyncio.Lock()
        self._container: CodeExecutor | None = None
        self._running: asyncio.Task[object] | None = None
        self._is_closed = False

    async def run(
        self,
        code: Annotated[str, "The contents of the Python code block that should be executed"],
        cancellation_token: CancellationToken,
    ) -> str:
        """Raises RuntimeError, with one line, if the container cannot be started."""
        async with self._turn:
            if self._is_closed:
                raise RuntimeError("the run that this belongs to has ended")
            self._folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            self._running = asyncio.current_task()
            try:
                if self._config.executor == "local":
                    status, output = await self._run_here(code)
                else:
                    self._container = self._container or await self._start_container()
                    blocks = [CodeBlock(code=code, language="python")]
                    result = await self._container.execute_code_blocks(blocks, cancellation_token)
                    status, output = result.exit_code, result.output
            finally:
                self._running = None
        output = limited(output, self._config.byte_limit)
        return output if status in (0, _TIMED_OUT) else f"{output.rstrip()}\n(exit status {status})".lstrip()

    async def close(self) -> None:
        """End the running code and remove the folder."""
        self._is_closed = True
        if self._running is not None:
            self._running.cancel()
        async with self._turn:
            container, self._container = self._container, None
        if container is not None:
            await container.stop()
        if self._folder.exists():
            await asyncio.to_thread(_remove, self._folder)

    async def _start_container(self) -> CodeExecutor:
        try:
            from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor

            await asyncio.to_thread(_ping_docker)  # AutoGen pings in the event loop, which blocks
            # `stop_container=True` registers an atexit function for each container. `close` stops it in any case.
            executor = DockerCommandLineCodeExecutor(
                self._config.image, timeout=self._config.timeout_s, work_dir=self._folder, stop_container=False
            )
            await executor.start()
        except Exception as exc:  # the docker package raises many kinds of errors
            raise RuntimeError(_no_docker(exc)) from exc
        return executor

    async def _run_here(self, code: str) -> tuple[int, str]:
        """Run the code with this interpreter; returns its exit status and its output.

        It has a time limit, gets none of the server's environment variables, and is killed with all processes that it
        has started. AutoGen's local executor passes on the environment, reads output of any size, and ends only the
        program itself.
        """
        (self._folder / _SCRIPT).write_text(code, "utf-8")
        command = [sys.executable, "-u", _SCRIPT]
        env = _environment(self._folder)
        async with run_program(command, env=env, folder=self._folder, kills_descendants=True) as script:
            streams = (script.stderr, script.stdout)
            reading = [asyncio.create_task(_read(stream, self._config.byte_limit)) for stream in streams]
            try:
                async with asyncio.timeout(self._config.timeout_s):
                    status = await script.process.wait()
                    return status, "".join(await asyncio.gather(*reading))
            except TimeoutError:
                return _TIMED_OUT, f"it took longer than {self._config.timeout_s:g} s and was stopped"
            finally:
                for task in reading:
                    task.cancel()


async def _read(stream: asyncio.StreamReader, byte_limit: int) -> str:
    """Read to the end. Counts, and does not keep, what exceeds the limit."""
    content, left_out = bytearray(), 0
    while piece := await stream.read(_CHUNK_BYTES):
        kept = piece[: max(0, byte_limit - len(content))]
        content += kept
        left_out += len(piece) - len(kept)
    text = content.decode("utf-8", "replace")
    return f"{text}\n… ({left_out} more bytes left out)" if left_out else text


def _environment(folder: Path) -> Mapping[str, str]:
    path = [str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin"]
    return {"PATH": ":".join(path), "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8", "MPLBACKEND": "Agg"}


def _ping_docker() -> None:
    docker = importlib.import_module("docker")
    address = docker.utils.kwargs_from_env().get("base_url") or _DOCKER
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        raise FileNotFoundError(f"there is no {address}")  # docker's own message has three lines, and leaks a socket
    client = docker.from_env()
    try:
        client.ping()
    finally:
        client.close()


def _no_docker(exc: Exception) -> str:
    if isinstance(exc, ImportError):
        return f'executor = "docker" needs: {install_hint("docker")}'
    return f"Docker cannot be used: {one_line(exc, 200)}"


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # a container may write files as another user
        _log.warning("code_folder_left_behind", folder=str(folder))


def _remove_abandoned(folder: Path) -> None:
    """Remove the folders of server processes that were killed."""
    with suppress(OSError):
        for entry in folder.iterdir():
            pid = entry.name.partition("-")[0]
            if pid.isdecimal() and int(pid) != os.getpid() and not Path(f"/proc/{pid}").exists():
                _remove(entry)
