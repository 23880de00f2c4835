"""What streaming alone takes: between the moment when the last stream had begun and the one when the first ended."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from benchmarks.bench.accounting import cpu_s, memory_bytes, system_s

_LOOK_S: Final = 0.05


class Stream(Protocol):
    tokens: int
    is_live: bool


@dataclass(slots=True)
class Steady:
    """`system_s` is the kernel's part of `cpu_s`, in hundredths of a second; `memory` the most there was."""

    tokens: int = 0
    cpu_s: float = 0.0
    system_s: float = 0.0
    memory: int = 0

    async def watch(self, pids: tuple[int, ...], streams: Sequence[Stream], expected: int) -> None:
        """Until the first stream ends; `streams` grows to as many as are `expected`."""
        begun: tuple[int, float, float] | None = None
        while True:
            if len(streams) == expected and all(stream.is_live for stream in streams):
                now = sum(stream.tokens for stream in streams), cpu_s(pids), system_s(pids)
                begun = begun or now
                self.tokens, self.cpu_s, self.system_s = now[0] - begun[0], now[1] - begun[1], now[2] - begun[2]
                self.memory = max(self.memory, memory_bytes(pids))
            elif begun:
                return
            await asyncio.sleep(_LOOK_S)
