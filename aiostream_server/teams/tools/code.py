"""Runs Python code that a model writes, in a folder of the run, which is removed with the run.

The code runs in a Docker container, or, with `executor = "local"`, as the server's own user, without a sandbox.
"""

import asyncio
import importlib
import os
import secrets
import shutil
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import structlog
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.tools import StaticWorkbench, ToolOverride, Workbench
from autogen_ext.tools.code_execution import PythonCodeExecutionTool

from aiostream_server.config.model import CodeToolConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.teams.tools.process import run_program
from aiostream_server.teams.tools.results import clipped
from aiostream_server.teams.tools.scope import ConfiguredTool, NoConfiguration, RunScope
from aiostream_server.text import one_line

_FOLDER: Final = "code"
_AUTOGENS_NAME: Final = "CodeExecutor"
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
        executor = OnDemandExecutor(self._config, self._folder / f"{os.getpid()}-{secrets.token_hex(8)}")
        scope.on_close(executor.stop)
        description = "Run a Python script and read what it prints."
        override = ToolOverride(name=self._name, description=description)
        return StaticWorkbench([PythonCodeExecutionTool(executor)], {_AUTOGENS_NAME: override})

    async def problem(self) -> str | None:
        if self._config.executor == "local":
            return None
        try:
            await asyncio.to_thread(_ping_docker)
        except Exception as exc:  # the docker package raises many kinds of errors
            return _no_docker(exc)
        return None


class OnDemandExecutor(CodeExecutor):
    """The executor of one run. It makes its folder and starts with the first code. Runs one piece of code at a time."""

    component_config_schema = NoConfiguration

    def __init__(self, config: CodeToolConfig, folder: Path) -> None:
        self._config: Final = config
        self._folder: Final = folder
        self._turn: Final = asyncio.Lock()
        self._executor: CodeExecutor | LocalPython | None = None
        self._running: asyncio.Task[object] | None = None
        self._is_stopped = False

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Raises RuntimeError, with one line, where the executor cannot be started."""
        async with self._turn:
            if self._is_stopped:
                raise RuntimeError("the run that this belongs to has ended")
            if self._executor is None:
                self._folder.mkdir(parents=True, mode=0o700)
                self._executor = await self._start()
            self._running = asyncio.current_task()
            try:
                result = await self._executor.execute_code_blocks(code_blocks, cancellation_token)
            finally:
                self._running = None
        output = clipped(result.output, self._config.byte_limit)
        if result.exit_code != 0 and result.exit_code != _TIMED_OUT:
            output = f"{output.rstrip()}\n(exit status {result.exit_code})".lstrip()
        return CodeResult(exit_code=result.exit_code, output=output)

    async def start(self) -> None:
        """The first code starts it."""

    async def stop(self) -> None:
        """End the running code and remove the folder."""
        self._is_stopped = True
        if self._running is not None:
            self._running.cancel()
        async with self._turn:
            executor, self._executor = self._executor, None
        if executor is not None:
            await executor.stop()
        if self._folder.exists():
            await asyncio.to_thread(_remove, self._folder)

    async def restart(self) -> None:
        """Nothing to restart: each piece of code is a process of its own."""

    async def _start(self) -> "CodeExecutor | LocalPython":
        if self._config.executor == "local":
            return LocalPython(self._folder, timeout_s=self._config.timeout_s, byte_limit=self._config.byte_limit)
        try:
            from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor

            await asyncio.to_thread(_ping_docker)  # AutoGen pings in the event loop, which blocks
            # `stop_container=True` registers an atexit function for each container. `stop` stops it in any case.
            executor = DockerCommandLineCodeExecutor(
                self._config.image, timeout=self._config.timeout_s, work_dir=self._folder, stop_container=False
            )
            await executor.start()
        except Exception as exc:  # the docker package raises many kinds of errors
            raise RuntimeError(_no_docker(exc)) from exc
        return executor


class LocalPython:
    """Runs Python with this interpreter, as the server's own user, without a sandbox.

    The code has a time limit, gets none of the server's environment variables, and is killed with all processes that it
    has started (outside Linux: only those of its process group). AutoGen's executor passes on the environment, reads
    output of any size, and ends only the program itself.
    """

    def __init__(self, folder: Path, *, timeout_s: float, byte_limit: int) -> None:
        self._folder: Final = folder
        self._timeout_s: Final = timeout_s
        self._byte_limit: Final = byte_limit

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        output = ""
        for block in code_blocks:
            if block.language.lower() not in ("python", "py"):
                return CodeResult(exit_code=1, output=f"{block.language} cannot be run, only Python")
            (self._folder / _SCRIPT).write_text(block.code, "utf-8")
            status, said = await self._run([sys.executable, "-u", _SCRIPT])
            output += said
            if status != 0:
                return CodeResult(exit_code=status, output=output)
        return CodeResult(exit_code=0, output=output)

    async def stop(self) -> None:
        """Nothing to stop: each piece of code is a process of its own."""

    async def _run(self, command: Sequence[str]) -> tuple[int, str]:
        async with run_program(
            command,
            env=_environment(self._folder),
            folder=self._folder,
            takes_input=False,
            ends_gracefully=False,
            kills_descendants=True,
        ) as script:
            reading = [
                asyncio.create_task(_read(stream, self._byte_limit)) for stream in (script.stderr, script.stdout)
            ]
            try:
                async with asyncio.timeout(self._timeout_s):
                    status = await script.process.wait()
                    texts = await asyncio.gather(*reading)
            except TimeoutError:
                return _TIMED_OUT, f"it took longer than {self._timeout_s:g} s and was stopped"
            finally:
                for task in reading:
                    task.cancel()
        return status, "".join(texts)


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
