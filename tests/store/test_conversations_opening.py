"""Opening the store: its place, its file mode, the versions of its schema, and what cannot be opened."""

import asyncio
import json
import os
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest
from alembic import command
from alembic.config import Config
from pydantic import SecretStr
from sqlalchemy import Connection, column, insert, make_url, table, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.conversations import Address, Conversations, TeamMemory, open_conversations
from aiostream_server.store.database import find_url, open_link
from aiostream_server.store.opening import prepare_file, read_version
from aiostream_server.store.schema import HEAD, metadata
from aiostream_server.store.team_memory import packed, row_of
from tests.kit.waiting import DEADLINE_S
from tests.store.conftest import in_database
from tests.store.talking import TALK, say, turns_of

MIGRATIONS = Path(__file__).parents[2] / "aiostream_server" / "store" / "migrations"
CHAT = Address("key1", "", "chat1")


def memory(fingerprint: str = "f1") -> TeamMemory:
    return TeamMemory("general", fingerprint, (), b"{}", b"[]")


def config(url: str) -> ConversationsConfig:
    return ConversationsConfig(url=url)


async def problem_of(url: str, state: Path = Path("/nowhere"), *, must_exist: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        async with open_conversations(config(url), state, must_exist=must_exist):
            raise AssertionError("it was opened")
    (problem,) = caught.value.problems
    assert problem.startswith("[conversations]")
    assert "\n" not in problem
    return problem


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[AsyncConnection]:
    found = find_url(config(url), Path("/nowhere"))
    if found.get_backend_name() == "sqlite":
        found = found.set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(found)
    async with engine.begin() as connection:
        yield connection
    await engine.dispose()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestFile:
    async def test_without_a_url_it_lies_in_the_state_directory_for_its_owner_only(self, tmp_path: Path) -> None:
        state = tmp_path / "new" / "state 100%"
        before = os.umask(0)
        try:
            async with open_conversations(ConversationsConfig(), state) as store:
                await store.keep(CHAT, memory())
                modes = {path.name: mode(path) for path in state.iterdir()}
        finally:
            os.umask(before)
        assert mode(state) == 0o700
        assert modes == dict.fromkeys(("conversations.db", "conversations.db-wal", "conversations.db-shm"), 0o600)
        assert [path.name for path in state.iterdir()] == ["conversations.db"]

    async def test_a_file_that_is_there_keeps_its_mode(self, tmp_path: Path) -> None:
        path = tmp_path / "kept.db"
        path.touch(0o640)
        async with open_conversations(config(f"sqlite:///{path}"), tmp_path):
            pass
        assert mode(path) == 0o640

    async def test_every_commit_is_on_the_disk(self, tmp_path: Path) -> None:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        async with open_conversations(ConversationsConfig(), tmp_path):
            found = await in_database(
                f"sqlite:///{tmp_path}/conversations.db",
                lambda connection: [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas],
            )
        assert found == ["wal", 2, 1, 5_000]

    async def test_a_reader_does_not_wait_for_a_writer(self, tmp_path: Path) -> None:
        async with open_conversations(ConversationsConfig(), tmp_path) as store:
            await store.keep(CHAT, memory())
            with closing(sqlite3.connect(tmp_path / "conversations.db")) as other:
                other.execute("BEGIN IMMEDIATE")
                async with asyncio.timeout(DEADLINE_S):
                    assert len(await store.recall(CHAT)) == 1
                keeping = asyncio.create_task(store.keep(CHAT, memory("f2")))
                done, _ = await asyncio.wait([keeping], timeout=0.1)
                assert not done
                other.rollback()
                await keeping
            assert len(await store.recall(CHAT)) == 2

    def test_the_journal_is_changed_by_the_first_process(self, tmp_path: Path) -> None:
        """SQLite refuses at once where another process holds the file; it is asked again until the time is up."""
        path = tmp_path / "kept.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE t (x)")
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                prepare_file(path, timeout_s=0.05)
        prepare_file(path, timeout_s=0.05)


class TestSchema:
    async def test_an_empty_database_is_migrated_and_one_that_is_up_to_date_left_alone(self, bare_url: str) -> None:
        for _ in range(2):
            async with open_conversations(config(bare_url), Path("/nowhere")) as store:
                await store.keep(CHAT, memory())
            async with connected(bare_url) as connection:
                assert await connection.run_sync(read_version) == HEAD

    async def test_migrations_lead_to_the_tables_that_are_used(self, store_url: str) -> None:
        def differences(connection: Connection) -> list[object]:
            from alembic.autogenerate import compare_metadata
            from alembic.migration import MigrationContext

            def is_ours(name: str | None, kind: str, _parents: object) -> bool:
                return kind != "table" or name in metadata.tables

            options = {"include_name": is_ours, "compare_type": True}
            return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

        async with connected(store_url) as connection:
            assert await connection.run_sync(differences) == []

    def test_the_newest_script_is_the_head_and_there_is_one_line_of_them(self) -> None:
        from alembic.script import ScriptDirectory

        scripts = ScriptDirectory(str(MIGRATIONS))
        assert scripts.get_heads() == [HEAD]
        assert [script.revision for script in scripts.walk_revisions()][-1] == "0001"

    def test_the_scripts_are_in_the_wheel(self) -> None:
        for folder in (MIGRATIONS, MIGRATIONS / "versions"):
            assert (folder / "__init__.py").exists()  # setup.cfg: packages = find:

    async def test_many_that_open_an_empty_database_at_once_migrate_it_once(self, bare_url: str) -> None:
        async def open_and_keep(number: int) -> None:
            async with open_conversations(config(bare_url), Path("/nowhere")) as store:
                await store.keep(CHAT._replace(conversation=str(number)), memory())

        await asyncio.gather(*map(open_and_keep, range(5)))
        async with open_conversations(config(bare_url), Path("/nowhere")) as store:
            assert len(await store.summaries()) == 5

    async def test_one_that_a_newer_version_has_migrated_is_refused_and_left_alone(self, bare_url: str) -> None:
        async with open_conversations(config(bare_url), Path("/nowhere")) as store:
            await store.keep(CHAT, memory())
        async with connected(bare_url) as connection:
            await connection.execute(text("UPDATE aiostream_schema SET version_num = '9999'"))
        problem = await problem_of(bare_url)
        assert (
            f"a newer version of aiostream-server has used it (its schema is 9999, and this version knows {HEAD})"
            in (problem)
        )
        async with connected(bare_url) as connection:
            await connection.execute(text("UPDATE aiostream_schema SET version_num = :head"), {"head": HEAD})
        async with open_conversations(config(bare_url), Path("/nowhere")) as store:
            assert len(await store.recall(CHAT)) == 1

    async def test_a_migration_that_fails_changes_nothing(self, bare_url: str) -> None:
        async with connected(bare_url) as connection:
            await connection.exec_driver_sql(
                "CREATE TABLE in_the_way (address INT, id INT)"
                if bare_url.startswith("postgres")
                else "CREATE TABLE in_the_way (address, id)"
            )
            await connection.exec_driver_sql("CREATE INDEX aiostream_memories_updated_at ON in_the_way (id)")
        try:
            assert "already exists" in await problem_of(bare_url)
            async with connected(bare_url) as connection:
                assert await connection.run_sync(read_version) is None
        finally:
            async with connected(bare_url) as connection:
                await connection.exec_driver_sql("DROP TABLE in_the_way")
        async with open_conversations(config(bare_url), Path("/nowhere")) as store:
            await store.keep(CHAT, memory())

    async def test_a_database_of_the_first_version_is_brought_up_to_date_with_what_it_holds(
        self, bare_url: str
    ) -> None:
        """A server of that version may still run during the upgrade: it writes rows without a version."""

        def first_version(connection: Connection) -> None:
            config = Config(attributes={"connection": connection})
            config.set_main_option("script_location", str(MIGRATIONS))
            command.upgrade(config, "0001")

        def row(number: int) -> dict[str, object]:
            turns = packed(json.dumps([f"turn{number}"]).encode())
            row = row_of(TALK, replace(memory(str(number)), turns=b"", updated_at=time.time())) | {"turns": turns}
            return {name: value for name, value in row.items() if name != "version"}

        old = table("aiostream_memories", *(column(name) for name in row(0)))
        await in_database(bare_url, first_version)
        await in_database(bare_url, lambda connection: connection.execute(insert(old).values(row(1))))
        async with open_conversations(config(bare_url), Path("/nowhere")) as store:
            seen = await store.latest(TALK)
            assert turns_of(seen) == ["turn1"]
            await in_database(bare_url, lambda connection: connection.execute(insert(old).values(row(2))))
            await say(store, "turn3", seen)
            assert turns_of(await store.latest(TALK)) == ["turn2", "turn3"]  # the old server knew nothing of merging


class TestProblems:
    @pytest.mark.parametrize(
        ("url", "words"),
        [
            ("mysql://u:secret@h/d", "sqlite:// and postgresql:// databases only"),
            ("postgresql://u:secret@h:port/d", "not a database URL"),
            ("://secret", "not a database URL"),
            ("sqlite://", "must name a file"),
            ("sqlite:///:memory:", "must name a file"),
            ("sqlite:///file:x?mode=rwc", "must name a file"),
            ("sqlite:////tmp/x.db?mode=ro", "takes no parameters"),
            ("sqlite:////nowhere/kept.db", "/nowhere/kept.db cannot be opened: [Errno 2] No such file"),
            ("postgresql://u:secret@127.0.0.1:1/d", "d on 127.0.0.1 cannot be opened: nothing answers at its"),
            ("postgresql://u:secret@127.0.0.1:1/d?ssl=nonsense", "`sslmode` parameter must be one of"),
            ("postgresql://u@127.0.0.1:1/d?password=secret&nope=1", "nope is not a parameter of PostgreSQL"),
            ("postgresql://u:secret@h/d?channel_binding=maybe", "channel_binding=maybe is not supported: leave it"),
        ],
    )
    async def test_what_cannot_be_opened_is_one_line_without_the_password(self, url: str, words: str) -> None:
        problem = await problem_of(url)
        assert words in problem
        assert "secret" not in problem

    async def test_a_url_from_a_variable_is_as_good_as_one_in_the_file(self, tmp_path: Path) -> None:
        named = ConversationsConfig()
        named._secret = SecretStr(f"sqlite+aiosqlite:///{tmp_path}/named.db")
        async with open_conversations(named, Path("/nowhere")):
            assert (tmp_path / "named.db").exists()

    async def test_what_is_no_database_stays_as_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "kept.db"
        path.write_text("a letter, and no database at all\n" * 100)
        assert "file is not a database" in await problem_of(f"sqlite:///{path}")
        assert path.read_text() == "a letter, and no database at all\n" * 100
        assert "unable to open" in await problem_of(f"sqlite:///{tmp_path}")

    async def test_a_file_that_must_exist_is_not_made(self, tmp_path: Path) -> None:
        state = tmp_path / "state"
        with pytest.raises(ConfigError, match=r"there is no .*state/conversations\.db"):
            async with open_conversations(ConversationsConfig(), state, must_exist=True):
                pass
        assert not state.exists()

    async def test_a_wrong_password_is_not_repeated(self, postgres_url: str) -> None:
        url = make_url(postgres_url).set(password="not-the-password").render_as_string(hide_password=False)
        problem = await problem_of(url)
        assert "password authentication failed" in problem
        assert "not-the-password" not in problem

    async def test_a_role_that_may_not_make_tables_is_told_so(self, postgres_url: str) -> None:
        admin = await asyncpg.connect(postgres_url)
        await admin.execute("DROP TABLE IF EXISTS aiostream_memories, aiostream_schema")
        await admin.execute("CREATE ROLE reader LOGIN PASSWORD 'reader1'")
        try:
            url = make_url(postgres_url).set(username="reader", password="reader1")
            problem = await problem_of(url.render_as_string(hide_password=False))
            assert "permission denied for schema public" in problem
        finally:
            await admin.execute("DROP ROLE reader")
            await admin.close()

    async def test_libpqs_word_for_encryption_is_understood(self, postgres_url: str) -> None:
        async with open_conversations(config(f"{postgres_url}?sslmode=disable"), Path("/nowhere")) as store:
            assert isinstance(store, Conversations)

    @pytest.mark.parametrize(("breaks_at", "calls"), [(0, 2), (1, 1)])
    def test_only_a_transaction_without_a_statement_begins_again(
        self, postgres_url: str, breaks_at: int, calls: int
    ) -> None:
        """What the server may have done is not done twice."""
        link, other = (open_link(find_url(config(postgres_url), Path("/nowhere")), timeout_s=5.0) for _ in range(2))
        backend = link.transact(lambda connection: connection.scalar(text("SELECT pg_backend_pid()")))
        called: list[int] = []
        thread = ThreadPoolExecutor(1)  # a link is an event loop of its own

        def terminate(connection: Connection) -> None:
            connection.execute(text(f"SELECT pg_terminate_backend({backend}, 5000)"))

        def work(connection: Connection) -> int:
            called.append(len(called))
            for at in range(2):
                if at == breaks_at and len(called) == 1:
                    thread.submit(other.transact, terminate).result()
                connection.execute(text("SELECT 1"))
            return len(called)

        try:
            if calls == 1:
                with pytest.raises(DBAPIError):
                    link.transact(work)
            else:
                assert link.transact(work) == calls
            assert len(called) == calls
            assert link.transact(work) == calls + 1
        finally:
            link.close()
            thread.submit(other.close).result()
            thread.shutdown()

    async def test_a_connection_that_broke_is_made_again(self, postgres_url: str) -> None:
        async with open_conversations(config(postgres_url), Path("/nowhere")) as store:
            await store.recall(CHAT)
            admin = await asyncpg.connect(postgres_url)
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'aiostream-server'"
            await admin.execute(ended)
            await admin.close()
            await store.keep(CHAT, memory())
            assert len(await store.recall(CHAT)) == 1
            await store.delete(key_id=CHAT.key_id)
