"""What teams remember of their conversations: rows in SQLite or PostgreSQL, committed before a call returns.

The store does not interpret a row. A row expires `expiry_s` after it was kept and is no longer found then;
`delete_expired` deletes it.
"""

import asyncio
import json
import time
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

import structlog
from sqlalchemy import ColumnElement, Executable, Row, and_, delete, func, select, true

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.database import ConversationDatabase
from aiostream_server.store.off_loop import off_loop
from aiostream_server.store.opening import open_database
from aiostream_server.store.schema import FIND, INSERT, MAKE_ROOM, SPEND, digest, memories

_BATCH: Final = 200  # rows that one transaction deletes: other writers wait for its end

_SMALL_BYTES: Final = 256 * 1024
_SMALL_PACKED_BYTES: Final = 64 * 1024
"""Packing so much takes two milliseconds, unpacking one."""

_FASTEST: Final = 1
"""zlib's level: 0.7 ms for 100 kB of JSON, where its default takes 4 ms for a result that is a seventh smaller."""

_UNREADABLE: Final = (zlib.error, TypeError, ValueError, RecursionError)  # SQLite's columns hold anything

_T = TypeVar("_T")

_log = structlog.get_logger()


class Address(NamedTuple):
    """Names a conversation: key id and user id ('' for none), and the client's own name for the conversation."""

    key_id: str
    user_id: str
    conversation: str


@dataclass(frozen=True, slots=True)
class TeamMemory:
    """What a team remembers after one answer. `state` and `turns` are JSON that the store does not read.

    `fingerprint` is a hash of the messages up to the question that was answered, `answers` are hashes of the forms in
    which a client may send the answer back, `turns` the texts of the conversation. `waits_for` is the agent that has
    asked the user something. `updated_at` is Unix time, set by `Conversations.keep`.
    """

    team: str
    fingerprint: str
    answers: tuple[str, ...]
    state: bytes
    turns: bytes
    waits_for: str | None = None
    updated_at: float = 0.0


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
        """The last `MAX_MEMORIES` memories of a conversation, newest first, without expired and damaged ones.

        `wanted` is called with each memory without its state and turns; these are read only if it returns True.
        """
        return await self._find(address, lambda rows: tuple(_memories(rows, wanted)))

    async def latest(self, address: Address) -> TeamMemory | None:
        """The newest memory that `recall` finds."""
        return await self._find(address, lambda rows: next(_memories(rows), None))

    async def keep(self, address: Address, memory: TeamMemory) -> None:
        """Durable when it returns. Replaces a memory of the same team, fingerprint and answers; of the others only the
        newest stay."""
        is_large = len(memory.state) + len(memory.turns) > _SMALL_BYTES
        row = await off_loop(is_large, _row, address, memory, self._clock())
        room = {"of_address": row["address"], "of_identity": row["identity"]}
        await self._whole(self._write(row["address"], (MAKE_ROOM, room), (INSERT, row)))

    async def spend(self, address: Address, memory: TeamMemory) -> bool:
        """Clear the state of a memory that waits for the user. Durable; of several callers, one gets True."""
        name = digest(*address)
        spent = {"of_address": name, "of_identity": _identity(address, memory), "nothing": _packed(b"")}
        return await self._whole(self._write(name, (SPEND, spent))) > 0

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

    async def _find(self, address: Address, unpack: Callable[[Sequence[Row[Any]]], _T]) -> _T:
        found = {"of_address": digest(*address), "expired_until": self._expired_until()}
        rows = await self._whole(self._read(FIND, found))
        size = sum(len(row.state) + len(row.turns) for row in rows)
        return await off_loop(size > _SMALL_PACKED_BYTES, unpack, rows)

    async def _read(self, found: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        async with self._database.reading() as connection:
            return (await connection.execute(found, values)).all()

    async def _write(self, name: str, *statements: tuple[Executable, Mapping[str, Any]]) -> int:
        """In one transaction. Returns how many rows the last statement changed."""
        changed = 0
        async with self._database.writing(name) as connection:
            for statement, values in statements:
                changed = (await connection.execute(statement, values)).rowcount
        return changed

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


def _packed(content: bytes) -> bytes:
    return zlib.compress(content, _FASTEST)


def _row(address: Address, memory: TeamMemory, now: float) -> dict[str, Any]:
    return {
        "address": digest(*address),
        "identity": _identity(address, memory),
        **address._asdict(),
        "team": memory.team,
        "fingerprint": memory.fingerprint,
        "answers": json.dumps(memory.answers),
        "waits_for": memory.waits_for,
        "updated_at": now,
        "state": _packed(memory.state),
        "turns": _packed(memory.turns),
    }


def _identity(address: Address, memory: TeamMemory) -> str:
    return digest(*address, memory.team, memory.fingerprint, *memory.answers)


def _memories(rows: Sequence[Row[Any]], wanted: Callable[[TeamMemory], bool] | None = None) -> Iterator[TeamMemory]:
    for row in rows:
        try:
            memory = TeamMemory(
                row.team, row.fingerprint, _answers(row.answers), b"", b"", row.waits_for, row.updated_at
            )
            if wanted is None or wanted(memory):
                memory = replace(memory, state=zlib.decompress(row.state), turns=zlib.decompress(row.turns))
        except _UNREADABLE as exc:
            _log.warning("memory_unreadable", row=row.id, reason=str(exc))
        else:
            yield memory


def _answers(column: str) -> tuple[str, ...]:
    answers = json.loads(column)
    if not isinstance(answers, list) or not all(isinstance(answer, str) for answer in answers):
        raise ValueError("answers: expected a list of texts")
    return tuple(answers)


def _summary(row: Row[Any]) -> ConversationSummary:
    address = Address(row.key_id, row.user_id, row.conversation)
    return ConversationSummary(address, row.team, row.states, int(row.size_bytes), row.updated_at)
