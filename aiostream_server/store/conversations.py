"""What teams remember of their conversations: rows in SQLite or PostgreSQL, committed before a call returns.

The store does not interpret a row. A row expires `expiry_s` after it was kept and is no longer found then;
`delete_expired` deletes it.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import structlog
from sqlalchemy import ColumnElement, Row, Select, and_, delete, func, select, true

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversation_rows import (
    Address,
    ConversationSummary,
    TeamMemory,
    UnreadableColumn,
    pack,
    pack_answers,
    unpack,
    unpack_answers,
)
from aiostream_server.store.database import ConversationDatabase, ConversationsUnavailable
from aiostream_server.store.opening import open_database
from aiostream_server.store.schema import FIND, INSERT, MAKE_ROOM, SPEND, digest, memories

__all__ = [
    "Address",
    "ConversationSummary",
    "Conversations",
    "ConversationsUnavailable",
    "TeamMemory",
    "open_conversations",
]

MAX_MEMORIES: Final = 3
"""Per conversation: the last answer, and those that an edited or repeated question goes back to."""

_BATCH: Final = 200  # rows that one transaction deletes: other writers wait for its end

_SMALL_BYTES: Final = 256 * 1024
_SMALL_PACKED_BYTES: Final = 64 * 1024
"""Packing so much takes two milliseconds, unpacking one. More is done in a thread, if tools leave one free."""

_T = TypeVar("_T")

_log = structlog.get_logger()


class Conversations:
    """Opened by `open_conversations`; shared by every run. Every method may raise `ConversationsUnavailable`.

    An operation is completed even if its caller is cancelled: an interrupted driver loses its connection.
    """

    def __init__(self, database: ConversationDatabase, *, expiry_s: float, clock: Callable[[], float]) -> None:
        self._database = database
        self._expiry_s = expiry_s
        self._clock = clock
        self._going_on: set[asyncio.Task[Any]] = set()

    async def settle(self) -> None:
        """Wait until all operations are completed."""
        while self._going_on:
            await asyncio.wait(self._going_on)

    async def recall(
        self, address: Address, wanted: Callable[[TeamMemory], bool] | None = None
    ) -> Sequence[TeamMemory]:
        """The memories of a conversation, newest first, at most `MAX_MEMORIES`, without expired and damaged ones.

        `wanted` is called with each memory without its state and turns; these are read only if it returns True.
        """
        rows = await self._rows(address)
        return await _unpacked(rows, lambda: tuple(_memories(rows, wanted)))

    async def latest(self, address: Address) -> TeamMemory | None:
        """The newest memory that `recall` finds."""
        for most in (1, MAX_MEMORIES):  # more than one only if the newest is damaged
            rows = await self._rows(address, most)
            if (memory := await _unpacked(rows, partial(_first, rows))) is not None or not rows:
                return memory
        return None

    async def keep(self, address: Address, memory: TeamMemory) -> None:
        """Durable when it returns. Replaces a memory of the same team, fingerprint and answers; of the others only the
        newest stay."""
        is_small = len(memory.state) + len(memory.turns) <= _SMALL_BYTES
        made = address, memory, self._clock()
        row = _row(*made) if is_small else await asyncio.to_thread(_row, *made)
        await self._whole(self._replace(row))

    async def _replace(self, row: Mapping[str, Any]) -> None:
        room = {"of_address": row["address"], "of_identity": row["identity"], "most": MAX_MEMORIES - 1}
        async with self._database.writing(row["address"]) as connection:
            await connection.execute(MAKE_ROOM, room)
            await connection.execute(INSERT, row)

    async def spend(self, address: Address, memory: TeamMemory) -> bool:
        """Clear the state of a memory that waits for the user. Durable; of several callers, one gets True."""
        return await self._whole(self._spend(address, memory))

    async def _spend(self, address: Address, memory: TeamMemory) -> bool:
        name = digest(*address)
        spent = {"of_address": name, "of_identity": _identity(address, memory), "nothing": pack(b"")}
        async with self._database.writing(name) as connection:
            return len((await connection.execute(SPEND, spent)).all()) > 0

    async def summaries(
        self, *, key_id: str | None = None, user_id: str | None = None
    ) -> Sequence[ConversationSummary]:
        """The conversations of this key and this user (None: any), the one used last first."""
        newest = (
            select(
                func.max(memories.c.id).label("id"),
                func.count().label("states"),
                func.sum(func.length(memories.c.state) + func.length(memories.c.turns)).label("size_bytes"),
            )
            .where(_matching(key_id, user_id, None))
            .group_by(memories.c.address)
            .subquery()
        )
        columns = memories.c
        found = (
            select(columns.key_id, columns.user_id, columns.conversation, columns.team, columns.updated_at)
            .add_columns(newest.c.states, newest.c.size_bytes)
            .join(newest, newest.c.id == columns.id)
            .order_by(columns.updated_at.desc(), columns.id.desc())
        )
        return [_summary(row) for row in await self._whole(self._read(found))]

    async def delete(
        self, *, key_id: str | None = None, user_id: str | None = None, conversation: str | None = None
    ) -> int:
        """Returns how many conversations were deleted. Raises `ValueError` without any argument."""
        if key_id is None and user_id is None and conversation is None:
            raise ValueError("which conversations? give key_id, user_id or conversation")
        return await self._whole(self._delete(_matching(key_id, user_id, conversation)))

    async def delete_expired(self) -> int:
        """Returns how many conversations were deleted; others may lose their older states."""
        return await self._whole(self._delete(memories.c.updated_at <= self._expired_until()))

    async def _whole(self, operation: Coroutine[Any, Any, _T]) -> _T:
        task = asyncio.create_task(operation)
        self._going_on.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._going_on.discard(task)
        if not task.cancelled():
            task.exception()  # mark it as retrieved, even if its caller was cancelled

    async def _rows(self, address: Address, most: int = MAX_MEMORIES) -> Sequence[Row[Any]]:
        found = {"of_address": digest(*address), "expired_until": self._expired_until(), "most": most}
        return await self._whole(self._read(FIND, found))

    async def _read(self, found: Select[Any], values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        async with self._database.reading() as connection:
            rows: Sequence[Row[Any]] = (await connection.execute(found, values)).all()
            return rows

    async def _delete(self, condition: ColumnElement[bool]) -> int:
        """In short transactions: other writers wait for each."""
        gone, last = 0, 0
        while True:
            batch = select(memories.c.id).where(condition, memories.c.id > last).order_by(memories.c.id).limit(_BATCH)
            deletion = delete(memories).where(memories.c.id.in_(batch)).returning(memories.c.id, memories.c.address)
            async with self._database.writing() as connection:
                deleted = (await connection.execute(deletion)).all()
                touched = {row.address for row in deleted}
                remaining = select(memories.c.address).where(memories.c.address.in_(touched)).distinct()
                gone += len(touched) - len((await connection.execute(remaining)).all())
            if len(deleted) < _BATCH:
                return gone
            last = max(row.id for row in deleted)

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
    async with open_database(config, state_directory, must_exist=must_exist) as database:
        conversations = Conversations(database, expiry_s=config.expiry_s, clock=clock)
        try:
            yield conversations
        finally:
            await conversations.settle()


def _matching(key_id: str | None, user_id: str | None, conversation: str | None) -> ColumnElement[bool]:
    wanted = {memories.c.key_id: key_id, memories.c.user_id: user_id, memories.c.conversation: conversation}
    return and_(true(), *(column == name for column, name in wanted.items() if name is not None))


def _row(address: Address, memory: TeamMemory, now: float) -> dict[str, Any]:
    return {
        "address": digest(*address),
        "identity": _identity(address, memory),
        **address._asdict(),
        "team": memory.team,
        "fingerprint": memory.fingerprint,
        "answers": pack_answers(memory.answers),
        "waits_for": memory.waits_for,
        "updated_at": now,
        "state": pack(memory.state),
        "turns": pack(memory.turns),
    }


def _identity(address: Address, memory: TeamMemory) -> str:
    return digest(*address, memory.team, memory.fingerprint, *memory.answers)


async def _unpacked(rows: Sequence[Row[Any]], unpack_them: Callable[[], _T]) -> _T:
    is_small = sum(len(row.state) + len(row.turns) for row in rows) <= _SMALL_PACKED_BYTES
    return unpack_them() if is_small else await asyncio.to_thread(unpack_them)


def _memories(rows: Sequence[Row[Any]], wanted: Callable[[TeamMemory], bool] | None = None) -> Iterator[TeamMemory]:
    for row in rows:
        try:
            memory = _heading(row)
            if wanted is None or wanted(memory):
                memory = replace(memory, state=unpack(row.state), turns=unpack(row.turns))
        except UnreadableColumn as exc:
            _log.warning("memory_unreadable", row=row.id, reason=str(exc))
        else:
            yield memory


def _first(rows: Sequence[Row[Any]]) -> TeamMemory | None:
    return next(_memories(rows), None)


def _heading(row: Row[Any]) -> TeamMemory:
    """Without its state and turns."""
    answers = unpack_answers(row.answers)
    return TeamMemory(row.team, row.fingerprint, answers, b"", b"", row.waits_for, row.updated_at)


def _summary(row: Row[Any]) -> ConversationSummary:
    address = Address(row.key_id, row.user_id, row.conversation)
    return ConversationSummary(address, row.team, row.states, int(row.size_bytes), row.updated_at)
