"""How busy this process is, and the interface of the two receivers of that: systemd, and a worker's parent."""

import asyncio
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """`str()` of it is the line that `systemctl status` shows. `lag_s`: the event loop's longest delay in the last
    minute."""

    runs: int = 0
    viewers: int = 0
    queued: int = 0
    lag_s: float = 0.0

    @classmethod
    def total(cls, of: Collection[Self]) -> Self:
        """The sums of several processes, and the lag of the slowest."""
        return cls(
            sum(each.runs for each in of),
            sum(each.viewers for each in of),
            sum(each.queued for each in of),
            max((each.lag_s for each in of), default=0.0),
        )

    def __str__(self) -> str:
        lag = f"loop lag {self.lag_s * 1000:.0f} ms"
        return f"{_count(self.runs, 'run')}, {_count(self.viewers, 'viewer')}, {self.queued} queued, {lag}"


class StatusReceiver(Protocol):
    """No method waits, and none fails if there is nothing at the other end."""

    @property
    def beat_s(self) -> float:
        """The interval of `beat`."""

    def ready(self) -> None:
        """The process accepts connections."""

    def reloading(self) -> None:
        """A reload has begun; `reloaded` follows."""

    def reloaded(self) -> None:
        """The reload is over, whether it succeeded or not."""

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
