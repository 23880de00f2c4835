"""Python that a model writes, run in a folder of the run's own, which is removed with it.

In a Docker container, or, only where the configuration says so, as the server's own user: see `local_code`.
"""

import asyncio
import importlib
import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog
from autogen_core import CancellationToken
from autogen_core.code_executor import CodeBlock, CodeExecutor, CodeResult
from autogen_core.tools import StaticWorkbench, ToolOverride, Workbench
from autogen_ext.tools.code_execution import PythonCodeExecutionTool

from aiostream_server.config.model import CodeToolConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.teams.tools.local_code import TIMED_OUT, FromFile, LocalPython
from aiostream_server.teams.tools.results import clipped

if TYPE_CHECKING:
    from aiostream_server.teams.tools.scope import RunScope

_FOLDER: Final = "code"
_AUTOGENS_NAME: Final = "CodeExecutor"
_DOCKER: Final = "unix:///var/run/docker.sock"

_log = structlog.get_logger()


class CodeTool:
    """A `[tools.NAME]`. A run that never uses it costs nothing."""

    def __init__(self, name: str, config: CodeToolConfig, state_directory: Path) -> None:
        self._name: Final = name
        self._config: Final = config
        self._folder: Final = state_directory / _FOLDER
        _remove_abandoned(self._folder)

    def workbench(self, scope: "RunScope") -> Workbench:
        executor = OnDemand(self._config, self._folder / f"{os.getpid()}-{secrets.token_hex(8)}")
        scope.on_close(executor.stop)
        description = "Run a Python script and read what it prints."
        override = ToolOverride(name=self._name, description=description)
        return StaticWorkbench([PythonCodeExecutionTool(executor)], {_AUTOGENS_NAME: override})

    def begin(self) -> None:
        """Nothing is shared."""

    async def problem(self) -> str | None:
        if self._config.executor == "local":
            return None
        try:
            await asyncio.to_thread(_ping_docker)
        except Exception as exc:  # whatever the docker library raises
            return _no_docker(exc)
        return None

    async def close(self) -> None:
        """Each run closes its own."""


class OnDemand(CodeExecutor):
    """One run's: starts with the first code, in a folder that is made for it. One piece of code at a time."""

    component_config_schema = FromFile

    def __init__(self, config: CodeToolConfig, folder: Path) -> None:
        self._config: Final = config
        self._folder: Final = folder
        self._turn: Final = asyncio.Lock()
        self._executor: CodeExecutor | None = None
        self._running: asyncio.Task[object] | None = None
        self._is_stopped = False

    async def execute_code_blocks(
        self, code_blocks: list[CodeBlock], cancellation_token: CancellationToken
    ) -> CodeResult:
        """Raises RuntimeError where the executor cannot be started, as one line."""
        async with self._turn:
            if self._is_stopped:
                raise RuntimeError("the run that this belongs to has ended")
            if self._executor is None:
                self._folder.mkdir(parents=True, mode=0o700)
                self._executor = await self._started()
            self._running = asyncio.current_task()
            try:
                result = await self._executor.execute_code_blocks(code_blocks, cancellation_token)
            finally:
                self._running = None
        output = clipped(result.output, self._config.byte_limit)
        if result.exit_code != 0 and result.exit_code != TIMED_OUT:
            output = f"{output.rstrip()}\n(exit status {result.exit_code})".lstrip()
        return CodeResult(exit_code=result.exit_code, output=output)

    async def start(self) -> None:
        """Starts with the first code."""

    async def stop(self) -> None:
        """Whatever runs is ended, and the folder removed."""
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
        """Every piece of code is a process of its own."""

    async def _started(self) -> CodeExecutor:
        if self._config.executor == "local":
            return LocalPython(self._folder, timeout_s=self._config.timeout_s, byte_limit=self._config.byte_limit)
        try:
            from autogen_ext.code_executors.docker import DockerCommandLineCodeExecutor

            await asyncio.to_thread(_ping_docker)  # AutoGen asks in the event loop
            # `stop_container` would have it remembered until the process ends; it is stopped all the same.
            executor = DockerCommandLineCodeExecutor(
                self._config.image, timeout=self._config.timeout_s, work_dir=self._folder, stop_container=False
            )
            await executor.start()
        except Exception as exc:  # whatever the docker library raises
            raise RuntimeError(_no_docker(exc)) from exc
        return executor


def _ping_docker() -> None:
    docker = importlib.import_module("docker")
    address = docker.utils.kwargs_from_env().get("base_url") or _DOCKER
    if address.startswith("unix://") and not Path(address.removeprefix("unix://")).exists():
        raise FileNotFoundError(f"there is no {address}")  # docker would say it in three lines, and forget a socket
    client = docker.from_env()
    try:
        client.ping()
    finally:
        client.close()


def _no_docker(exc: Exception) -> str:
    if isinstance(exc, ImportError):
        return f'executor = "docker" needs: {install_hint("docker")}'
    return f"Docker cannot be used: {' '.join(str(exc).split())[:200]}"


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():  # a container writes as another user
        _log.warning("code_folder_left_behind", folder=str(folder))


def _remove_abandoned(folder: Path) -> None:
    """Those of processes that were killed."""
    with suppress(OSError):
        for entry in folder.iterdir():
            pid = entry.name.partition("-")[0]
            if pid.isdecimal() and int(pid) != os.getpid() and not Path(f"/proc/{pid}").exists():
                _remove(entry)
