"""A real model of 135 million parameters, where `scripts/dev/fetch smollm2` has put it; and what its processes do."""

import asyncio
import os
from pathlib import Path
from typing import Any, Final

from aiostream_server.config.model import Config, LlamaCppModelConfig, TeamConfig
from tests.kit.needs import SMOLLM2, needs

WEIGHTS: Final = SMOLLM2
NEEDS_MODEL: Final = needs("smollm2")


def smollm2(**settings: Any) -> LlamaCppModelConfig:
    """Writes the same every time, and not for long."""
    options = {"temperature": 0, "max_tokens": 48, **settings.pop("options", {})}
    return LlamaCppModelConfig(
        provider="llama.cpp", **{"path": WEIGHTS, "context_tokens": 1024, "threads": 1, "options": options, **settings}
    )


def config_with(model: LlamaCppModelConfig, *teams: TeamConfig, **sections: Any) -> Config:
    return Config(models={"default": model}, teams=teams, **sections)


def llama_processes(parent: int | None = None) -> list[int]:
    """Those that this process started, or another one."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes()
            started_by = int(_stat(int(folder.name))[1])
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        if b"llama_cpp.child" in command and started_by == (parent or os.getpid()):
            found.append(int(folder.name))
    return found


async def until_started(parent: int | None = None) -> int:
    """The process, at the earliest."""
    async with asyncio.timeout(10):
        while not (found := llama_processes(parent)):  # noqa: ASYNC110 - nobody tells of it
            await asyncio.sleep(0.005)
    return found[0]


async def until_gone(pid: int, within_s: float = 3.0) -> None:
    async with asyncio.timeout(within_s):
        while is_running(pid):  # noqa: ASYNC110 - it may be another process's child
            await asyncio.sleep(0.01)


def is_running(pid: int) -> bool:
    """Not where it has ended and is only not waited for yet."""
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False


def cpu_ticks(pid: int) -> int:
    """CPU time so far, in hundredths of a second."""
    stat = _stat(pid)
    return int(stat[11]) + int(stat[12])


def _stat(pid: int) -> list[str]:
    """From its state on: proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
