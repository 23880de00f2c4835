"""The two real databases that conversations are kept in, each empty for each test."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TypeAlias, TypeVar

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import Connection, Executable, make_url, text

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.store.conversations import Conversations, open_conversations
from aiostream_server.store.database import find_url, open_link

T = TypeVar("T")

OpenStore: TypeAlias = Callable[..., AbstractAsyncContextManager[Conversations]]


@pytest.fixture(scope="session")
def postgres_url(postgres_url: str) -> str:
    """A database of its own: other tests look at what tables there are."""
    return make_url(postgres_url).set(database="kept").render_as_string(hide_password=False)


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables of ours, as a user would write it."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/kept.db"
    url: str = request.getfixturevalue("postgres_url")
    admin = await asyncpg.connect(url)
    await admin.execute("DROP TABLE IF EXISTS aiostream_memories, aiostream_schema")
    await admin.close()
    return url


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "kept.db"
    asyncio.run(_migrate(f"sqlite:///{path}"))
    return path


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def store_url(request: pytest.FixtureRequest, migrated_file: Path, tmp_path: Path) -> str:
    """The URL of a database that is migrated, and empty."""
    if request.param == "sqlite":
        shutil.copy(migrated_file, tmp_path / "kept.db")
        return f"sqlite:///{tmp_path}/kept.db"
    url: str = request.getfixturevalue("postgres_url")
    await _migrate(url)
    admin = await asyncpg.connect(url)
    await admin.execute("TRUNCATE aiostream_memories")
    await admin.close()
    return url


async def _migrate(url: str) -> None:
    async with open_conversations(ConversationsConfig(url=url), Path("/nowhere")):
        pass


@pytest.fixture
def open_store(store_url: str, tmp_path: Path) -> OpenStore:
    """Opens the same database each time; keyword arguments go to `open_conversations`, `expiry_s` to its config."""

    def opened(expiry_s: float = 60.0, **more: Callable[[], float]) -> AbstractAsyncContextManager[Conversations]:
        config = ConversationsConfig(url=store_url, expiry_s=expiry_s)
        return open_conversations(config, tmp_path / "state", **more)  # type: ignore[arg-type]

    return opened


@pytest_asyncio.fixture
async def store(open_store: OpenStore) -> AsyncIterator[Conversations]:
    async with open_store() as conversations:
        yield conversations


async def in_database(url: str, work: Callable[[Connection], T]) -> T:
    """Do `work` in a transaction on a connection of its own."""

    def transact() -> T:
        link = open_link(find_url(ConversationsConfig(url=url), Path("/nowhere")), timeout_s=5.0)
        try:
            return link.transact(work, writes=True)
        finally:
            link.close()

    return await asyncio.to_thread(transact)


async def execute(url: str, statement: Executable | str) -> None:
    """Execute SQL on a connection of its own."""
    await in_database(
        url, lambda connection: connection.execute(text(statement) if isinstance(statement, str) else statement)
    )
