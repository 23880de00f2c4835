"""Migrates the schema to that of this version when the store is opened.

One process at a time migrates, in one transaction: all or nothing. alembic takes 0.1 s to import, so it is imported
only if there is something to do.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, column, inspect, select, table, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.store.database import make_engine
from aiostream_server.store.schema import HEAD, VERSION_TABLE

_FOLDER: Final = Path(__file__).parent / "migrations"
_TIMEOUT_S: Final = 600.0  # for all migrations, and for those of another process
_LOCK: Final = 0x61696F73  # the number of PostgreSQL's advisory lock


class NewerSchema(Exception):
    """A newer version of the server has migrated the database to `version`."""

    def __init__(self, version: str) -> None:
        super().__init__(f"its schema is {version}, and this version knows {HEAD}")
        self.version: Final = version


async def migrate(url: URL) -> None:
    """Raises `NewerSchema`, and what the driver raises."""
    engine = make_engine(url, timeout_s=_TIMEOUT_S, pooled=False)
    try:
        async with engine.connect() as connection:
            if await connection.run_sync(read_version) == HEAD:
                return
            await connection.rollback()
            await _lock(connection)
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await engine.dispose()


def read_version(connection: Connection) -> str | None:
    """The migration that was applied last; None for none."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.scalar(select(column("version_num")).select_from(table(VERSION_TABLE)))


async def _lock(connection: AsyncConnection) -> None:
    """Held until the end of the transaction."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    version = read_version(connection)  # another process may have migrated while we waited
    if version is not None and version not in known:
        raise NewerSchema(version)
    command.upgrade(config, "head")
