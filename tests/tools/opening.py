"""A database of a test, opened as the server opens it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.sql.database import Database
from tests.kit.waiting import DEADLINE_S


@asynccontextmanager
async def opened(url: str, name: str = "it", **settings: Any) -> AsyncIterator[Database]:
    """`settings` are keys of a `[database.*]` table. Statements have the time that a busy machine needs."""
    settings.setdefault("statement_timeout_s", DEADLINE_S)
    database = await Database.open(name, DatabaseConfig.model_validate({"url": url, **settings}))
    try:
        yield database
    finally:
        await database.close()
