"""The databases that teams may ask: those of the config, or the demo shop."""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from aiostream_server.config.model import Config, DatabaseConfig
from aiostream_server.errors import ConfigError
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.shop import build_shop

SHOP: Final = "shop"


@asynccontextmanager
async def open_databases(config: Config, state_directory: Path) -> AsyncIterator[Mapping[str, Database]]:
    """Open every `[database.NAME]`; without any, build the demo shop into the state directory and open that.

    Raises `ConfigError` for a database that cannot be reached.
    """
    tables = config.database or {SHOP: _shop(state_directory)}
    async with AsyncExitStack() as stack:
        databases: dict[str, Database] = {}
        for name, table in tables.items():
            databases[name] = await _open(name, table)
            stack.push_async_callback(databases[name].close)
        yield databases


async def _open(name: str, table: DatabaseConfig) -> Database:
    try:
        return await Database.open(name, table)
    except (DatabaseUnreachable, QueryFailed) as exc:
        raise ConfigError([f"[database.{name}] {exc}"]) from exc


def _shop(state_directory: Path) -> DatabaseConfig:
    path = state_directory / "shop.sqlite3"
    build_shop(path)
    return DatabaseConfig(url=f"sqlite:///{path}", description="a small demo shop")
