"""Processes that are measured or that help: the server as users run it, and modules that print their port.

Each process ends with its block, by its own id.
"""

import asyncio
import json
import os
import resource
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, cast

from benchmarks.accounting import cpu_s, memory_bytes

ROOT: Final = Path(__file__).parents[1]
_READY_S: Final = 120.0  # a busy machine takes long


class Process(Protocol):
    """The part of `asyncio.subprocess.Process` that is used here."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    async def wait(self) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Start(Protocol):
    """Starts `python COMMAND` with this environment; its stderr is a file descriptor."""

    async def __call__(self, command: Sequence[str], env: Mapping[str, str], *, stderr: int) -> Process: ...


async def _start_afresh(command: Sequence[str], env: Mapping[str, str], *, stderr: int) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=asyncio.subprocess.DEVNULL, stderr=stderr, env=env
    )


STARTED_BY: Final[ContextVar[Start]] = ContextVar("STARTED_BY", default=_start_afresh)
"""What starts a server. Tests that measure neither its memory nor its start let it be forked."""


@dataclass(frozen=True, slots=True)
class Server:
    """`aiostream-server serve`, seen from outside."""

    process: Process
    port: int

    @property
    def memory_bytes(self) -> int:
        return memory_bytes((self.process.pid,))

    @property
    def cpu_s(self) -> float:
        return cpu_s((self.process.pid,))

    @property
    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))


@asynccontextmanager
async def python_module(module: str, *arguments: str, within: tuple[str, ...] = ()) -> AsyncIterator[tuple[int, int]]:
    """A module of ours that prints its port: its process id, and that port.

    `within` is a command that becomes the process, such as `ip netns exec NAME`.
    """
    process = await asyncio.create_subprocess_exec(
        *(*within, sys.executable, "-m", module, *arguments),
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        async with asyncio.timeout(_READY_S):
            line = await cast("asyncio.StreamReader", process.stdout).readline()
        if not line:
            raise RuntimeError(f"{module} ended at once")
        yield process.pid, int(line)
    finally:
        await kill(process)


@asynccontextmanager
async def server(
    provider_port: int, folder: Path, within: tuple[str, ...] = (), /, **sections: dict[str, object]
) -> AsyncIterator[Server]:
    """A server with these settings beside those that every measurement needs. Its log is `server.log` in `folder`.

    `within` is a command that becomes the process, such as `ip netns exec NAME`.
    """
    config, log = folder / "server.toml", folder / "server.log"
    config.write_text(_toml(provider_port, sections), "utf-8")
    with log.open("wb") as stderr:
        command = ("-m", "aiostream_server", "serve", "--config", str(config))
        env = {**os.environ, "PYTHONPATH": str(ROOT), "STATE_DIRECTORY": str(folder)}
        if within:
            process: Process = await asyncio.create_subprocess_exec(
                *(*within, sys.executable, *command), stdout=asyncio.subprocess.DEVNULL, stderr=stderr, env=env
            )
        else:
            process = await STARTED_BY.get()(command, env, stderr=stderr.fileno())
    try:
        yield Server(process, await _port(process, log))
    finally:
        await kill(process)


async def _port(process: Process, log: Path) -> int:
    async with asyncio.timeout(_READY_S):
        while process.returncode is None:
            if (port := _announced(log)) is not None:
                return port
            await asyncio.sleep(0.05)
    raise RuntimeError(f"the server ended at once: {_end_of(log)}")


def _end_of(log: Path) -> str:
    return log.read_text("utf-8")[-2_000:]


def _announced(log: Path) -> int | None:
    for line in log.read_text("utf-8").splitlines():
        if line.startswith("serving "):
            return int(line.removesuffix("/v1").rpartition(":")[2])
    return None


async def output_of(*command: str) -> str:
    """What a command prints. Raises `RuntimeError` where it fails."""
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd=ROOT)
    output, _ = await process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with status {process.returncode}")
    return output.decode()


async def new_key(keys: Path) -> str:
    """Makes a key in this file, which may be new. The header that carries it."""
    command = (sys.executable, "-m", "aiostream_server", "keys", "create", "soak", "--keys-file", str(keys))
    return f"Authorization: Bearer {(await output_of(*command)).split()[-1]}"


async def kill(process: Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _toml(provider_port: int, sections: dict[str, dict[str, object]]) -> str:
    base_url = f"http://127.0.0.1:{provider_port}/v1"
    tables: dict[str, dict[str, object]] = {
        "server": {"port": 0, "log_format": "json"},
        "limits": {"max_runs": 5_000, "retention_s": 0.0},
        "models.default": {"provider": "openai", "model": "scripted", "base_url": base_url},
    }
    for name, settings in sections.items():
        tables[name] = {**tables.get(name, {}), **settings}
    teams = [{"id": name, "factory": f"benchmarks.served_teams:{name}"} for name in ("solo", "inspector")]
    teams.append({"id": "general", "factory": "aiostream_server.teams.general:build"})
    lines = [line for name, settings in tables.items() for line in (f"[{name}]", *_pairs(settings))]
    return "\n".join([*lines, *(line for team in teams for line in ("[[teams]]", *_pairs(team))), ""])


def _pairs(settings: dict[str, Any]) -> list[str]:
    """TOML's scalars are written as JSON's are."""
    return [f"{key} = {json.dumps(value)}" for key, value in settings.items()]


def raise_file_limit() -> None:
    """Each stream takes two files in the server."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
