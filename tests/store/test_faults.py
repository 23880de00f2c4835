"""No turn is lost, doubled or hidden: whatever fails, and whatever else writes."""

import asyncio
import os
import random
import resource
import shutil
import sqlite3
import statistics
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any, Final
from unittest.mock import ANY

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import make_url
from structlog.testing import capture_logs

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store import turn_queue
from aiostream_server.store.conversations import Conversations, TeamMemory, open_conversations
from aiostream_server.store.database import ConversationsUnavailable, NotWrittenYet, find_url
from aiostream_server.store.turn_reader import TurnReader
from aiostream_server.store.turn_writer import TurnWriter
from tests.kit.ended_sessions import EndedSessions
from tests.kit.forkserver import fork
from tests.kit.waiting import DEADLINE_S
from tests.store.talking import TALK, said, say, turns_of

TABLE: Final = "aiostream_memories"


@asynccontextmanager
async def quick_store(path: Path, timeout_s: float = 0.02) -> AsyncIterator[Conversations]:
    """A store that waits only shortly for locks."""
    url = find_url(ConversationsConfig(url=f"sqlite:///{path}"), path.parent)
    reader = TurnReader(url, timeout_s=timeout_s)
    writer = TurnWriter(url, timeout_s=timeout_s, expiry_s=1e6)
    try:
        yield Conversations(reader, writer, expiry_s=1e6, clock=lambda: 1e9)
    finally:
        await writer.close(within_s=0.0)
        await reader.close()


class Processes(RuleBasedStateMachine):
    """Two stores on one file, as two processes have it, beside a database that fails in several ways.

    Each store has `seen` the conversation at some time, and says its turns behind that. The model: turns that are
    `durable`, those that each store `holds` until the database works, and those that were lost with a store that ended.
    """

    empty: Path
    files: Iterator[Path]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.file = next(self.files)
        shutil.copy(self.empty, self.file)
        self.database = sqlite3.connect(self.file, isolation_level=None)
        self.contexts = [quick_store(self.file) for _ in range(2)]
        self.stores = [self.runner.run(context.__aenter__()) for context in self.contexts]
        self.seen: list[TeamMemory | None] = [None, None]
        self.holds: list[list[str]] = [[], []]
        self.durable: set[str] = set()
        self.lost: set[str] = set()
        self.fault: str | None = None
        self.count = 0

    @rule(store=st.integers(0, 1))
    def look(self, store: int) -> None:
        try:
            self.seen[store] = self.runner.run(self.stores[store].latest(TALK))
        except ConversationsUnavailable:
            assert self.fault == "renamed"
            assert not self.holds[store]
            return
        found = turns_of(self.seen[store])
        assert set(self.holds[store]) <= set(found)
        assert len(found) == len(set(found))
        if self.fault != "renamed":
            assert self.durable <= set(found)

    @rule(store=st.integers(0, 1), turns=st.integers(1, 3))
    def talk(self, store: int, turns: int) -> None:
        """One turn after the other, without another look, or one more at the same time."""
        for _ in range(turns):
            self.count += 1
            name = f"turn{self.count}"
            try:
                self.runner.run(say(self.stores[store], name, self.seen[store]))
            except NotWrittenYet:
                assert self.fault is not None
                self.holds[store].append(name)
            else:
                self.durable.add(name)
                self._written(store)

    @rule(store=st.integers(0, 1), turns=st.integers(2, 5))
    def talk_at_once(self, store: int, turns: int) -> None:
        names = [f"turn{self.count + number}" for number in range(1, turns + 1)]
        self.count += turns
        told = self.runner.run(self._all(store, names))
        for name, outcome in zip(names, told, strict=True):
            if isinstance(outcome, NotWrittenYet):
                self.holds[store].append(name)
            else:
                assert outcome is None
                self.durable.add(name)
                self._written(store)

    async def _all(self, store: int, names: list[str]) -> list[Any]:
        saying = (say(self.stores[store], name, self.seen[store]) for name in names)
        return await asyncio.gather(*saying, return_exceptions=True)

    @precondition(lambda self: self.fault is None)
    @rule(fault=st.sampled_from(["locked", "renamed", "refusing"]))
    def break_it(self, fault: str) -> None:
        self.fault = fault
        match fault:
            case "locked":
                self.database.execute("BEGIN IMMEDIATE")
            case "renamed":
                self.database.execute(f"ALTER TABLE {TABLE} RENAME TO away")
            case "refusing":
                raising = "SELECT RAISE(ABORT, 'refused')"
                self.database.execute(f"CREATE TRIGGER refuse BEFORE INSERT ON {TABLE} BEGIN {raising}; END")

    @precondition(lambda self: self.fault is not None)
    @rule()
    def mend(self) -> None:
        match self.fault:
            case "locked":
                self.database.execute("ROLLBACK")
            case "renamed":
                self.database.execute(f"ALTER TABLE away RENAME TO {TABLE}")
            case "refusing":
                self.database.execute("DROP TRIGGER refuse")
        self.fault = None

    @precondition(lambda self: self.fault is None)
    @rule(store=st.integers(0, 1))
    def settle(self, store: int) -> None:
        self.runner.run(asyncio.wait_for(self.stores[store].settle(), DEADLINE_S))
        self._written(store)

    @rule(store=st.integers(0, 1))
    def restart(self, store: int) -> None:
        """What it holds is written if the database works, else it is lost, as its users were told."""
        self.runner.run(self.contexts[store].__aexit__(None, None, None))
        self.lost |= set(self.holds[store])
        self.holds[store], self.seen[store] = [], None
        self.contexts[store] = quick_store(self.file)
        self.stores[store] = self.runner.run(self.contexts[store].__aenter__())

    @invariant()
    def every_turn_is_there_once(self) -> None:
        if self.fault == "renamed":
            return
        rows = self.database.execute("SELECT count(*) FROM aiostream_memories").fetchone()[0]
        assert rows <= 3

    def teardown(self) -> None:
        if self.fault is not None:
            self.mend()
        for store in (0, 1):
            self.settle(store)
        for store in (0, 1):
            self.seen[store] = None
            self.look(store)
            assert self.durable <= set(turns_of(self.seen[store])) <= self.durable | self.lost
        for context in self.contexts:
            self.runner.run(context.__aexit__(None, None, None))
        self.database.close()
        self.runner.close()

    def _written(self, store: int) -> None:
        """A turn that was written comes behind all that the store held."""
        self.durable |= set(self.holds[store])
        self.holds[store] = []


def test_two_stores_with_random_faults_lose_nothing(migrated_file: Path, tmp_path: Path) -> None:
    files = (tmp_path / f"{number}.db" for number in count())
    machine: Any = type("OnTheseFiles", (Processes,), {"empty": migrated_file, "files": files})
    run_state_machine_as_test(machine, settings=settings(max_examples=12, stateful_step_count=20))


async def test_two_processes_that_talk_at_once_overwrite_nothing(bare_url: str) -> None:
    """They begin with an empty database, and see each other's turns when they look."""
    children = [
        await fork(
            ("-m", "tests.store.talking", bare_url, name, "30"), os.environ, stdout=asyncio.subprocess.PIPE, stderr=2
        )
        for name in ("a", "b")
    ]
    for child in children:
        await child.communicate()
        assert child.returncode == 0
    async with open_conversations(ConversationsConfig(url=bare_url), Path("/nowhere")) as store:
        found = turns_of(await store.latest(TALK))
    assert sorted(found) == sorted(f"{name}{number}" for name in "ab" for number in range(30))
    for name in "ab":
        assert [turn for turn in found if turn.startswith(name)] == [f"{name}{number}" for number in range(30)]


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """Writes of this process behind that size fail, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_postpones_turns_and_they_are_written_when_there_is_room(
    migrated_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "kept.db"
    shutil.copy(migrated_file, path)
    async with open_conversations(ConversationsConfig(url=f"sqlite:///{path}"), tmp_path) as store:
        await say(store, "first", None)
        with files_of_at_most(256 * 1024), capture_logs() as logs:
            large = replace(said(["large"]), state=random.randbytes(2 * 1024**2))
            with pytest.raises(NotWrittenYet, match=r"full|I/O"):
                await store.keep(TALK._replace(conversation="other"), large)
            assert (await store.latest(TALK._replace(conversation="other"))) == replace(large, updated_at=ANY)
        await store.settle()
    assert {line["event"] for line in logs} == {"conversations_not_written"}
    async with open_conversations(ConversationsConfig(url=f"sqlite:///{path}"), tmp_path) as store:
        assert turns_of(await store.latest(TALK)) == ["first"]
        assert (await store.recall(TALK._replace(conversation="other")))[0].state == large.state


async def test_postponed_turns_are_bounded_in_bytes(
    migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is refused is not found by later turns either: its user was told."""
    monkeypatch.setattr(turn_queue, "MAX_HELD_BYTES", 2_000)
    shutil.copy(migrated_file, tmp_path / "kept.db")
    async with quick_store(tmp_path / "kept.db") as store:
        with closing(sqlite3.connect(tmp_path / "kept.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            outcomes = await asyncio.gather(
                *(
                    store.keep(TALK._replace(conversation=str(number)), replace(said(["x"]), state=b"x" * 600))
                    for number in range(5)
                ),
                return_exceptions=True,
            )
            assert [type(outcome) for outcome in outcomes] == [NotWrittenYet] * 3 + [ConversationsUnavailable] * 2
            database.execute("ROLLBACK")
        await store.settle()
        assert sorted(each.address.conversation for each in await store.summaries()) == ["0", "1", "2"]


async def test_many_held_turns_delay_no_new_one(migrated_file: Path, tmp_path: Path) -> None:
    """Each attempt at a locked database takes a moment: a new turn is in the next one, whatever is held before it."""
    shutil.copy(migrated_file, tmp_path / "kept.db")
    async with quick_store(tmp_path / "kept.db") as store:
        with closing(sqlite3.connect(tmp_path / "kept.db", isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            began = time.monotonic()
            with pytest.raises(NotWrittenYet):
                await say(store, "alone", None)
            alone_s = time.monotonic() - began
            chats = [TALK._replace(conversation=f"{number}") for number in range(1_000)]
            await asyncio.gather(*(say(store, "held", None, chat) for chat in chats), return_exceptions=True)
            took = []
            for number in range(10):
                began = time.monotonic()
                with pytest.raises(NotWrittenYet):
                    await say(store, "new", None, TALK._replace(conversation=f"new {number}"))
                took.append(time.monotonic() - began)
            assert store.held == 1_011
            assert statistics.median(took) < 4 * alone_s + 0.1
            database.execute("ROLLBACK")
        await store.settle()
        assert len(await store.summaries()) == 1_011


async def test_turns_that_wait_while_the_database_fails_are_told_with_the_first(
    migrated_file: Path, tmp_path: Path
) -> None:
    """A transaction takes 64 of them, and a silent database fails each transaction only after its timeout."""
    shutil.copy(migrated_file, tmp_path / "kept.db")
    async with quick_store(tmp_path / "kept.db", timeout_s=1.0) as store:
        with closing(sqlite3.connect(tmp_path / "kept.db", isolation_level=None)) as database, capture_logs() as logs:
            database.execute("BEGIN IMMEDIATE")
            chats = [TALK._replace(conversation=f"{number}") for number in range(500)]
            told = await asyncio.gather(*(say(store, "x", None, chat) for chat in chats), return_exceptions=True)
            assert {type(each) for each in told} == {NotWrittenYet}
            attempts = [line["turns"] for line in logs if line["event"] == "conversations_not_written"]
            assert sum(attempts) == 500
            assert len(attempts) <= 2  # the first one may have begun before the others came
            database.execute("ROLLBACK")
        await store.settle()
        assert len(await store.summaries()) == 500


class Cable:
    """A TCP connection to PostgreSQL that can be pulled."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self.loses_answer_to: bytes | None = None
        """Pulled when the client has sent this: what it asks for is done, and it never hears of it."""
        self.is_pulled = False
        self._is_deaf = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_pulled:
            writer.close()
            return
        there, back = await asyncio.open_connection(*self._target)
        self._writers |= {writer, back}
        pumps = {
            asyncio.create_task(self._pump(reader, back, True)),
            asyncio.create_task(self._pump(there, writer, False)),
        }
        self._pumps |= pumps

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, is_question: bool) -> None:
        with suppress(ConnectionError):
            while (data := await reader.read(65536)) and not self.is_pulled:
                if is_question or not self._is_deaf:
                    writer.write(data)
                if is_question and self.loses_answer_to is not None and self.loses_answer_to in data:
                    self._is_deaf, self.loses_answer_to = True, None
                    await asyncio.sleep(0.2)  # PostgreSQL does it meanwhile
                    self.pull()
        writer.close()

    def pull(self) -> None:
        self.is_pulled, self._is_deaf = True, False
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()

    @asynccontextmanager
    async def laid(self) -> AsyncIterator[int]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            self.pull()
            await asyncio.gather(*self._pumps)


async def test_a_database_that_is_away_gets_every_turn_once_when_it_is_back(postgres_url: str, tmp_path: Path) -> None:
    """Also a turn that was committed when the connection broke, so that nothing told of it."""
    url = make_url(postgres_url)
    cable = Cable(url.host or "127.0.0.1", url.port or 5432)
    async with cable.laid() as port:
        through = url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
        async with open_conversations(ConversationsConfig(url=through), tmp_path) as store:
            await store.delete(key_id=TALK.key_id)
            await say(store, "before", None)
            before = await store.latest(TALK)
            cable.loses_answer_to = b"COMMIT"
            with pytest.raises(NotWrittenYet):
                await say(store, "committed", before)
            with pytest.raises(NotWrittenYet):
                await say(store, "away", await store.latest(TALK))
            assert turns_of(await store.latest(TALK)) == ["before", "committed", "away"]
            async with open_conversations(ConversationsConfig(url=postgres_url), tmp_path) as other:
                assert turns_of(await other.latest(TALK)) == ["before", "committed"]
                await say(other, "other", await other.latest(TALK))
                cable.is_pulled = False
                await store.settle()
                assert turns_of(await other.latest(TALK)) == ["before", "committed", "other", "away"]


async def test_a_session_that_ends_behind_any_answer_loses_no_turn(postgres_url: str, tmp_path: Path) -> None:
    """The server's last words may come together with an answer: the driver has an error of its own for that."""
    url = make_url(postgres_url)
    sessions = EndedSessions(url.port or 5432)
    said_turns: list[str] = []
    async with sessions.served() as port:
        through = url.set(host="127.0.0.1", port=port, query={**url.query, "sslmode": "disable"})
        config = ConversationsConfig(url=through.render_as_string(hide_password=False))
        async with open_conversations(config, tmp_path) as store:
            await store.delete(key_id=TALK.key_id)
            for after in count(1):
                seen = await store.latest(TALK)
                sessions.after = after
                said_turns.append(f"turn {after}")
                with suppress(NotWrittenYet):
                    await say(store, said_turns[-1], seen)
                if sessions.after is not None:  # everything was said before
                    break
                await store.settle()
            sessions.after = None
            async with open_conversations(ConversationsConfig(url=postgres_url), tmp_path) as other:
                assert turns_of(await other.latest(TALK)) == said_turns
    assert len(said_turns) > 10


async def test_a_closed_store_says_so(migrated_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for ever: neither what comes later, nor what a bug in the thread leaves behind."""
    monkeypatch.setattr(threading, "excepthook", lambda _: None)
    shutil.copy(migrated_file, tmp_path / "kept.db")
    async with quick_store(tmp_path / "kept.db") as store:
        await say(store, "turn", None)
        store._reader._jobs.append(None)  # type: ignore[arg-type] # what the thread does not expect
        assert await store.latest(TALK) is not None
        await store._reader.ended()
        with pytest.raises(ConversationsUnavailable, match="closed"):
            await store.latest(TALK)
    for asked in (store.latest(TALK), store.summaries(), store.keep(TALK, said(["x"])), store.delete(key_id="key")):
        with pytest.raises(ConversationsUnavailable, match="closed"):
            await asked
