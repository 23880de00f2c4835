"""What teams remember of their conversations: rows in SQLite or PostgreSQL, committed before a call returns.

The store does not interpret a row. A row expires `expiry_s` after it was kept and is no longer found then;
`delete_expired` deletes it.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, func, select, true

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.database import ConversationsUnavailable
from aiostream_server.store.opening import prepare_database
from aiostream_server.store.schema import MAX_MEMORIES, digest, memories
from aiostream_server.store.team_memory import Address, TeamMemory
from aiostream_server.store.turn_reader import TurnReader
from aiostream_server.store.turn_transaction import KeptTurn, Merge, is_same_turn, spend
from aiostream_server.store.turn_writer import TurnWriter

__all__ = ["Address", "ConversationSummary", "Conversations", "TeamMemory", "open_conversations"]

_TIMEOUT_S: Final = 5.0
"""Of one statement on PostgreSQL, and of the wait for other processes' writes on SQLite."""

_CLOSING_S: Final = 0.5
_BATCH: Final = 200  # rows that one transaction deletes: other writers wait for its end


@dataclass(frozen=True, slots=True)
class ConversationSummary:
    """One conversation as it is stored, expired states included.

    `team` and `updated_at` are those of the newest state; `size_bytes` is the compressed size of all states.
    """

    address: Address
    team: str
    states: int
    size_bytes: int
    updated_at: float


class Conversations:
    """Opened by `open_conversations`; shared by every run. Every method may raise `ConversationsUnavailable`.

    An operation is completed even if its caller is cancelled. What `keep` was given is found from then on in this
    process, written or not.
    """

    def __init__(self, reader: TurnReader, writer: TurnWriter, *, expiry_s: float, clock: Callable[[], float]) -> None:
        self._reader: Final = reader
        self._writer: Final = writer
        self._expiry_s: Final = expiry_s
        self._clock: Final = clock

    @property
    def held(self) -> int:
        """How many turns could not be written yet."""
        return self._writer.held

    async def settle(self) -> None:
        """Wait until every turn that was kept is written. For a database that does not work, that is for ever."""
        await self._writer.settle()

    async def recall(
        self, address: Address, wanted: Callable[[TeamMemory], bool] | None = None
    ) -> Sequence[TeamMemory]:
        """The last `MAX_MEMORIES` memories of a conversation, newest first, without expired and damaged ones.

        `wanted` is called, in a thread, with each memory without its state and turns; only if it returns True are these
        read.
        """
        name = digest(*address)
        pending = self._writer.pending(name)  # first: what is written meanwhile is found in the database
        try:
            found = await self._reader.find(name, self._expired_until(), wanted)
        except ConversationsUnavailable:
            if not pending:
                raise
            found = ()
        unwritten = [each.memory for each in reversed(_unwritten(pending, found))]
        return _newest(address, [*_headings(unwritten, wanted), *found])

    async def latest(self, address: Address) -> TeamMemory | None:
        """The newest memory that `recall` finds. Turns that are not written yet are merged as they will be then."""
        name = digest(*address)
        pending = self._writer.pending(name)
        try:
            found = await self._reader.find(name, self._expired_until(), None)
        except ConversationsUnavailable:
            if not pending:
                raise
            found = ()
        newest = next(iter(found), None)
        for turn in _unwritten(pending, found):
            newest = turn.behind(newest)
        return newest

    async def keep(self, address: Address, memory: TeamMemory, *, after: str = "", merge: Merge | None = None) -> None:
        """Durable when it returns. Replaces a memory of the same team, fingerprint and answers; of the others only the
        newest stay.

        `after` is the version of the memory that this one continues. If another process has kept a turn since, `merge`
        is called with that, in a thread, and its result is kept. Without `merge` both are kept side by side.

        Raises `NotWrittenYet` if that has failed: it is tried again for as long as the process lives.
        """
        kept = replace(memory, updated_at=self._clock(), version=secrets.token_hex(12))
        await self._writer.keep(KeptTurn(address, kept, after, merge))

    async def spend(self, address: Address, memory: TeamMemory) -> bool:
        """Clear the state of a memory that waits for the user. Durable; of several callers, one gets True."""
        is_spent = await self._writer.spend_pending(address, memory)
        if is_spent is None:
            return await self._writer.do_job(lambda connection: spend(connection, address, memory))
        return is_spent

    async def summaries(
        self, *, key_id: str | None = None, user_id: str | None = None
    ) -> Sequence[ConversationSummary]:
        """The conversations of this key and this user (None: any), the one used last first."""
        columns = memories.c
        newest = (
            select(
                func.max(columns.id).label("id"),
                func.count().label("states"),
                func.sum(func.length(columns.state) + func.length(columns.turns)).label("size_bytes"),
            )
            .where(_matching(key_id, user_id, None))
            .group_by(columns.address)
            .subquery()
        )
        found = (
            select(columns.key_id, columns.user_id, columns.conversation, columns.team, columns.updated_at)
            .add_columns(newest.c.states, newest.c.size_bytes)
            .join(newest, newest.c.id == columns.id)
            .order_by(columns.updated_at.desc(), columns.id.desc())
        )
        return [_summary(row) for row in await self._reader.do_job(lambda connection: connection.execute(found).all())]

    async def delete(
        self, *, key_id: str | None = None, user_id: str | None = None, conversation: str | None = None
    ) -> int:
        """Returns how many conversations were deleted. Raises `ValueError` without any argument."""
        if key_id is None and user_id is None and conversation is None:
            raise ValueError("which conversations? give key_id, user_id or conversation")
        return await self._delete(_matching(key_id, user_id, conversation))

    async def delete_expired(self) -> int:
        """Returns how many conversations were deleted; others may lose their older states."""
        return await self._delete(memories.c.updated_at <= self._expired_until())

    async def _delete(self, condition: ColumnElement[bool]) -> int:
        """Delete in short transactions: other writers wait for each."""
        gone, last = 0, 0
        while True:
            batch = select(memories.c.id).where(condition, memories.c.id > last).order_by(memories.c.id).limit(_BATCH)
            deleted, conversations = await self._writer.do_job(partial(_delete_rows, batch=batch))
            gone += conversations
            if len(deleted) < _BATCH:
                return gone
            last = max(deleted)

    def _expired_until(self) -> float:
        return self._clock() - self._expiry_s


@asynccontextmanager
async def open_conversations(
    config: ConversationsConfig,
    state_directory: Path,
    *,
    must_exist: bool = False,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Conversations]:
    """The configured database, or `conversations.db` in the state directory, created if need be and migrated.

    Raises `ConfigError` if it cannot be opened and, with `must_exist`, if the SQLite file does not exist. `clock` gives
    Unix time.
    """
    url = await prepare_database(config, state_directory, must_exist=must_exist)
    reader = TurnReader(url, timeout_s=_TIMEOUT_S)
    writer = TurnWriter(url, timeout_s=_TIMEOUT_S, expiry_s=config.expiry_s)
    try:
        yield Conversations(reader, writer, expiry_s=config.expiry_s, clock=clock)
    finally:
        await writer.close(within_s=_CLOSING_S)
        await reader.close()


def _unwritten(pending: Sequence[KeptTurn], found: Sequence[TeamMemory]) -> Sequence[KeptTurn]:
    """The pending turns without those that were written before `found` was read."""
    return [turn for turn in pending if not any(is_same_turn(kept, turn.memory) for kept in found)]


def _headings(pending: Sequence[TeamMemory], wanted: Callable[[TeamMemory], bool] | None) -> Sequence[TeamMemory]:
    return [each if wanted is None or wanted(each.heading()) else each.heading() for each in pending]


def _newest(address: Address, found: Sequence[TeamMemory]) -> Sequence[TeamMemory]:
    """The newest memory of each identity, and of these the newest ones."""
    newest: dict[str, TeamMemory] = {}
    for memory in found:
        newest.setdefault(memory.identity(address), memory)
    return tuple(newest.values())[:MAX_MEMORIES]


def _delete_rows(connection: Connection, batch: Select[tuple[int]]) -> tuple[Sequence[int], int]:
    """The ids of the rows, and the number of conversations of which nothing is left."""
    deletion = delete(memories).where(memories.c.id.in_(batch)).returning(memories.c.id, memories.c.address)
    deleted = connection.execute(deletion).all()
    touched = {row.address for row in deleted}
    remaining = select(memories.c.address).where(memories.c.address.in_(touched)).distinct()
    return [row.id for row in deleted], len(touched) - len(connection.execute(remaining).all())


def _matching(key_id: str | None, user_id: str | None, conversation: str | None) -> ColumnElement[bool]:
    wanted = {memories.c.key_id: key_id, memories.c.user_id: user_id, memories.c.conversation: conversation}
    return and_(true(), *(column == name for column, name in wanted.items() if name is not None))


def _summary(row: Row[Any]) -> ConversationSummary:
    address = Address(row.key_id, row.user_id, row.conversation)
    return ConversationSummary(address, row.team, row.states, int(row.size_bytes), row.updated_at)
