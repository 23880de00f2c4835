"""How busy this process is, and the interface of the two receivers of that: systemd, and a worker's parent."""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Protocol, Self


@dataclass(slots=True)
class LastReload:
    """How the last reload of the configuration ended. `problem` is the first one, empty if it succeeded."""

    problem: str = ""
    succeeded_at: float = field(default_factory=time.time)

    def ended(self, problem: str = "") -> None:
        self.problem = problem
        if not problem:
            self.succeeded_at = time.time()


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """`str()` of it is the line that `systemctl status` shows. `lag_s`: the event loop's longest delay in the last
    minute. `reload_problem`: why the last reload failed, or empty."""

    runs: int = 0
    viewers: int = 0
    queued: int = 0
    lag_s: float = 0.0
    reload_problem: str = ""

    @classmethod
    def total(cls, of: Collection[Self]) -> Self:
        """The sums of several processes, and the lag of the slowest."""
        return cls(
            sum(each.runs for each in of),
            sum(each.viewers for each in of),
            sum(each.queued for each in of),
            max((each.lag_s for each in of), default=0.0),
            next((each.reload_problem for each in of if each.reload_problem), ""),
        )

    def __str__(self) -> str:
        lag = f"loop lag {self.lag_s * 1000:.0f} ms"
        busy = f"{_count(self.runs, 'run')}, {_count(self.viewers, 'viewer')}, {self.queued} queued, {lag}"
        return f"RELOAD FAILED: {self.reload_problem} ({busy})" if self.reload_problem else busy


class StatusReceiver(Protocol):
    """No method waits, and none fails if there is nothing at the other end."""

    @property
    def beat_s(self) -> float:
        """The interval of `beat`."""

    def ready(self) -> None:
        """The process accepts connections."""

    def reloading(self) -> None:
        """A reload has begun; `reloaded` follows."""

    def reloaded(self, problem: str) -> None:
        """The reload is over; `problem` is empty if it succeeded."""

    def beat(self, status: ProcessStatus) -> None:
        """The event loop turns."""

    def stopping(self, within_s: float) -> None:
        """The process ends within that time."""


async def report(receiver: StatusReceiver, read: Callable[[], ProcessStatus]) -> None:
    """Beat until cancelled. A task of the event loop does it, so that a blocked loop stops the beats."""
    while True:
        receiver.beat(read())
        await asyncio.sleep(receiver.beat_s)


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"
