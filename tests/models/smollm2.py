"""A real model of 135 million parameters, where `scripts/dev/fetch smollm2` has put it; and what its processes do."""

import os
from pathlib import Path
from typing import Any, Final

from aiostream_server.config.model import Config, LlamaCppModelConfig, TeamConfig
from tests.kit.needs import SMOLLM2, needs
from tests.kit.process import process_stat
from tests.kit.waiting import wait_for

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
            started_by = int(process_stat(int(folder.name))[1])
        except (OSError, IndexError):
            continue  # it has ended meanwhile
        if b"llama_cpp.child" in command and started_by == (parent or os.getpid()):
            found.append(int(folder.name))
    return found


async def until_started(parent: int | None = None) -> int:
    """The process, as soon as there is one."""
    return (await wait_for(lambda: llama_processes(parent), "llama.cpp's process", every_s=0.005))[0]


def cpu_ticks(pid: int) -> int:
    """CPU time so far, in hundredths of a second."""
    stat = process_stat(pid)
    return int(stat[11]) + int(stat[12])
