"""How busy a process is: the line that `systemctl status` shows."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Figures:
    """`lag_s` is how late the event loop is, at most in the last minute; in seconds."""

    runs: int = 0
    viewers: int = 0
    queued: int = 0
    lag_s: float = 0.0

    @classmethod
    def total(cls, of: Collection[Self]) -> Self:
        """Of several processes: all runs, and the lag of the slowest."""
        return cls(
            sum(each.runs for each in of),
            sum(each.viewers for each in of),
            sum(each.queued for each in of),
            max((each.lag_s for each in of), default=0.0),
        )

    def __str__(self) -> str:
        lag = f"loop lag {self.lag_s * 1000:.0f} ms"
        return f"{_count(self.runs, 'run')}, {_count(self.viewers, 'viewer')}, {self.queued} queued, {lag}"


def _count(number: int, of: str) -> str:
    return f"{number} {of}" if number == 1 else f"{number} {of}s"
