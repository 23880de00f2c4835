"""Opens the databases of teams: those of the config, or the demo shop."""

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
    """Open every `[database.NAME]`; if there is none, build the demo shop in the state directory and open it.

    Raises `ConfigError` with every database that cannot be reached.
    """
    tables = config.database or {SHOP: _shop(state_directory)}
    async with AsyncExitStack() as stack:
        databases: dict[str, Database] = {}
        problems: list[str] = []
        for name, table in tables.items():
            try:
                databases[name] = await Database.open(name, table)
            except (DatabaseUnreachable, QueryFailed) as exc:
                problems.append(f"[database.{name}] {exc}")
            else:
                stack.push_async_callback(databases[name].close)
        if problems:
            raise ConfigError(problems)
        yield databases


def _shop(state_directory: Path) -> DatabaseConfig:
    path = state_directory / "shop.sqlite3"
    try:
        build_shop(path)
    except OSError as exc:
        raise ConfigError([f"the demo shop cannot be built in {state_directory}: {exc.strerror or exc}"]) from exc
    return DatabaseConfig(url=f"sqlite:///{path}", description="a small demo shop")
