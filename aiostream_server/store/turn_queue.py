"""The turns that are not on the disk yet, in the order in which they were kept. Its users share a lock.

Of each conversation the oldest turn is written first. A turn that has failed is held: it is due again after a pause,
which doubles each time, and at once when the database takes another turn. What is held is bounded in bytes. The turns
that a caller waits for are as many as runs are live, and come first.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from aiostream_server.backoff import doubled_s
from aiostream_server.store.threads import new_future
from aiostream_server.store.turn_transaction import KeptTurn

MAX_HELD_BYTES: Final = 64 * 1024**2

_GROUP: Final = 64  # turns of one transaction
_GROUP_BYTES: Final = 8 * 1024**2
_FIRST_PAUSE_S: Final = 0.25
_LONGEST_PAUSE_S: Final = 15.0


class Pending:
    """A turn in the queue. `done` tells its caller about the first attempt, `watching` the others who wait for the end
    of the one that is going on."""

    __slots__ = ("done", "due_at", "failures", "is_being_written", "name", "turn", "watching")

    def __init__(self, turn: KeptTurn) -> None:
        self.turn = turn
        self.name: Final = turn.name
        self.done: Final = new_future()
        self.watching: list[asyncio.Future[None]] = []
        self.due_at = 0.0
        self.failures = 0
        self.is_being_written = False

    @property
    def size_bytes(self) -> int:
        return self.turn.memory.size_bytes


class TurnQueue:
    def __init__(self) -> None:
        self._turns: list[Pending] = []
        self._last_seen: Pending | None = None  # the newest turn when the last attempt began
        self._outage = 0  # attempts since the database worked

    def __len__(self) -> int:
        return len(self._turns)

    @property
    def held(self) -> int:
        """How many turns have failed."""
        return sum(each.failures > 0 for each in self._turns)

    def add(self, pending: Pending) -> None:
        self._turns.append(pending)

    def of(self, name: str) -> Sequence[Pending]:
        """The turns of the conversation of this digest, oldest first."""
        return [each for each in self._turns if each.name == name]

    def pause_s(self) -> float | None:
        """How long nothing is due; None for an empty queue."""
        if not self._turns:
            return None
        return max(0.0, min(each.due_at for each in self._turns) - time.monotonic())

    def take(self, *, even_held: bool) -> Sequence[Pending]:
        """The oldest turn of each conversation with a turn that is due; first those that a caller waits for."""
        now = time.monotonic()
        self._last_seen = self._turns[-1] if self._turns else None
        waited_for = {each.name for each in self._turns if not each.failures}
        due = waited_for | {each.name for each in self._turns if even_held or each.due_at <= now}
        oldest: dict[str, Pending] = {}
        for each in self._turns:
            if each.name in due:
                oldest.setdefault(each.name, each)
        size, group = 0, list[Pending]()
        for each in sorted(oldest.values(), key=lambda each: each.name not in waited_for)[:_GROUP]:
            size += each.size_bytes
            if group and size > _GROUP_BYTES:
                break
            each.is_being_written = True
            group.append(each)
        return group

    def remove(self, written: Sequence[Pending]) -> None:
        """The database works: all that is held is due."""
        self._turns = [each for each in self._turns if each not in written]
        self._outage = 0
        for each in self._turns:
            each.due_at = 0.0

    def give_up(self, group: Sequence[Pending]) -> None:
        """The database will never take these."""
        self._turns = [each for each in self._turns if each not in group]

    def hold(self, group: Sequence[Pending], *, is_outage: bool) -> tuple[Sequence[Pending], Sequence[Pending]]:
        """Try these again later, and what waits behind them. In an outage all that is held waits, and delays no other;
        what has waited as long as the group is held too: an attempt of its own would take as long again.

        Returns those that are held since now, and those that are given up because too much is held.
        """
        names, now = {each.name for each in group}, time.monotonic()
        room = MAX_HELD_BYTES - sum(each.size_bytes for each in self._turns if each.failures)
        told: list[Pending] = []
        lost: list[Pending] = []
        behind = [each for each in self._turns if each.name in names and each not in group]
        beside = [each for each in self._untried() if each.name not in names] if is_outage else []
        for each in [*group, *behind, *beside]:
            each.is_being_written = False
            if not each.failures:
                room -= each.size_bytes
                if room < 0:
                    room += each.size_bytes
                    if each.name in names:
                        lost.append(each)
                    continue
                told.append(each)
            each.failures += 1
            each.due_at = now + _backoff_s(each.failures)
        self.give_up(lost)
        if is_outage:
            self._outage += 1
            for each in self._turns:
                if each.failures:
                    each.due_at = max(each.due_at, now + _backoff_s(self._outage))
        return told, lost

    def _untried(self) -> Sequence[Pending]:
        """Those that were there when the last attempt began."""
        found: list[Pending] = []
        for each in self._turns:
            if not each.failures and not each.is_being_written:
                found.append(each)
            if each is self._last_seen:
                return found
        return ()

    def clear(self) -> Sequence[Pending]:
        turns, self._turns = self._turns, []
        return turns


def _backoff_s(failures: int) -> float:
    return doubled_s(failures, first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S)
