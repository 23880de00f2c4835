"""The processes: the server as users run it, and the provider. Each ends with its block."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast

from benchmarks.soak.client import chat, fetch
from benchmarks.soak.plan import Plan

ROOT: Final = Path(__file__).parents[2]
_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_READY_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class Server:
    """`aiostream-server serve`, seen from outside."""

    process: asyncio.subprocess.Process
    port: int

    @property
    def memory_bytes(self) -> int:
        return int(self._proc("statm").split()[1]) * _PAGE_BYTES

    @property
    def cpu_s(self) -> float:
        user, system = self._proc("stat").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / _TICKS_PER_S

    @property
    def open_files(self) -> int:
        return len(list(Path(f"/proc/{self.process.pid}/fd").iterdir()))

    async def inspect(self) -> dict[str, Any]:
        """Its tasks and objects (`teams.Inspector`)."""
        answer = await fetch(self.port, chat(Plan(tokens=0), model="inspector", stream=False))
        told: dict[str, Any] = json.loads(answer["choices"][0]["message"]["content"])
        return told

    def _proc(self, name: str) -> str:
        return Path(f"/proc/{self.process.pid}/{name}").read_text("ascii")


@asynccontextmanager
async def provider() -> AsyncIterator[int]:
    """Its port."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.soak.provider", stdout=asyncio.subprocess.PIPE, cwd=ROOT
    )
    try:
        yield int(await cast("asyncio.StreamReader", process.stdout).readline())
    finally:
        await _kill(process)


@asynccontextmanager
async def server(provider_port: int, folder: Path, **sections: dict[str, object]) -> AsyncIterator[Server]:
    """With these settings beside those that every measurement needs; its log is `server.log` in the folder."""
    config, log = folder / "server.toml", folder / "server.log"
    config.write_text(_toml(provider_port, sections), "utf-8")
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "aiostream_server", "serve", "--config", str(config)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=stderr,
            env={**os.environ, "PYTHONPATH": str(ROOT), "STATE_DIRECTORY": str(folder)},
        )
    try:
        yield Server(process, await _port(process, log))
    finally:
        await _kill(process)


async def _port(process: asyncio.subprocess.Process, log: Path) -> int:
    async with asyncio.timeout(_READY_S):
        while process.returncode is None:
            if (port := _announced(log)) is not None:
                return port
            await asyncio.sleep(0.05)
    raise RuntimeError(f"the server ended at once: {_last_words(log)}")


def _last_words(log: Path) -> str:
    return log.read_text("utf-8")[-2_000:]


def _announced(log: Path) -> int | None:
    for line in log.read_text("utf-8").splitlines():
        if line.startswith("serving "):
            return int(line.removesuffix("/v1").rpartition(":")[2])
    return None


async def _kill(process: asyncio.subprocess.Process) -> None:
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
    teams = [{"id": name, "factory": f"benchmarks.soak.teams:{name}"} for name in ("solo", "inspector")]
    lines = [line for name, settings in tables.items() for line in (f"[{name}]", *_pairs(settings))]
    return "\n".join([*lines, *(line for team in teams for line in ("[[teams]]", *_pairs(team))), ""])


def _pairs(settings: dict[str, Any]) -> list[str]:
    """TOML's scalars are written as JSON's are."""
    return [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
