"""The transaction that writes kept turns: several conversations' at once, in four statements for all of them.

A turn that continues the newest memory of its conversation, or begins a conversation, is written as it is. If another
process has written meanwhile, the turn is merged with that: compare-and-set on the version. A turn that an earlier
attempt has written already, without a report of its success, is recognised by its version.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, Row, insert

from aiostream_server.store.schema import (
    DELETE,
    FIND_HEADINGS,
    FIND_ONE,
    LOCK,
    MAX_MEMORIES,
    SPEND,
    digest,
    memories,
)
from aiostream_server.store.team_memory import Address, TeamMemory, memories_of, packed, row_of, version_of

Merge: TypeAlias = Callable[[TeamMemory], TeamMemory]
"""Given the newest memory of the conversation: the turn's own memory, appended to that."""

_MERGED: Final = "+"
"""Stands in the version of a merged turn, between its own and a hash of the version it was merged with: a turn that
continues it as it was without that, or merged with another one, is merged too."""

_INSERT_ONE: Final = insert(memories)


@dataclass(frozen=True, slots=True)
class KeptTurn:
    """`memory` has its version and time. `after` is the version that it continues ('': none); without `merge` the turn
    stands for itself, because its client has sent the whole conversation."""

    address: Address
    memory: TeamMemory
    after: str = ""
    merge: Merge | None = None

    @property
    def name(self) -> str:
        """The conversation's digest."""
        return digest(*self.address)

    def collides(self, newest: str) -> bool:
        """Whether the conversation's newest memory has another version than the turn has seen."""
        return self.merge is not None and newest != self.after

    def behind(self, newest: TeamMemory | None) -> TeamMemory:
        """The memory to write where this is the newest one: that of the turn, or merged."""
        if newest is None or self.merge is None or not self.collides(newest.version):
            return self.memory
        version = f"{self.memory.version}{_MERGED}{digest(newest.version)[:16]}"
        return replace(self.merge(newest), updated_at=self.memory.updated_at, version=version)


def lock(connection: Connection, names: Sequence[str]) -> None:
    """Let no other process write to these conversations until the transaction ends."""
    if connection.dialect.name == "postgresql":  # SQLite's transactions that write exclude each other anyway
        numbers = sorted(int.from_bytes(bytes.fromhex(name)[:8], signed=True) for name in names)  # no deadlocks
        connection.execute(LOCK, {"numbers": numbers})


def write_turns(connection: Connection, turns: Sequence[KeptTurn], *, expiry_s: float) -> None:
    """Each of another conversation."""
    names = [turn.name for turn in turns]
    lock(connection, names)
    headings = defaultdict[str, list[Any]](list)  # rows
    for row in connection.execute(FIND_HEADINGS, {"addresses": names}):
        headings[row.address].append(row)
    rows, gone = [], []
    for turn in turns:
        there = headings[turn.name]
        if any(_own(row.version) == turn.memory.version for row in there):
            continue
        new = row_of(turn.address, _merged(connection, turn, there, expiry_s))
        others = [each.id for each in there if each.identity != new["identity"]]
        gone += [each.id for each in there if each.id not in others[: MAX_MEMORIES - 1]]
        rows.append(new)
    if gone:
        connection.execute(DELETE, {"ids": gone})
    if len(rows) == 1:
        connection.execute(_INSERT_ONE, rows[0])
    elif rows:
        connection.execute(insert(memories).values(rows))


def spend(connection: Connection, address: Address, memory: TeamMemory) -> bool:
    """Whether the memory was still waiting for the user."""
    name = digest(*address)
    lock(connection, [name])
    values = {"of_address": name, "of_identity": memory.identity(address), "nothing": packed(b"")}
    return connection.execute(SPEND, values).rowcount > 0


def is_same_turn(kept: TeamMemory, pending: TeamMemory) -> bool:
    """Whether `kept`, as it was read, is what became of `pending`."""
    return _own(kept.version) == pending.version


def _own(version: str) -> str:
    return version.partition(_MERGED)[0]


def _merged(connection: Connection, turn: KeptTurn, there: Sequence[Row[Any]], expiry_s: float) -> TeamMemory:
    """The memory to write: that of the turn, or merged with what was written since the turn began."""
    newest = next((row for row in there if row.updated_at > turn.memory.updated_at - expiry_s), None)
    if newest is None or not turn.collides(version_of(newest)):
        return turn.memory
    rows = connection.execute(FIND_ONE, {"of_id": newest.id}).all()
    return turn.behind(next(memories_of(rows), None))  # None for a damaged one: there is nothing to continue
