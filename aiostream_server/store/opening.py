"""The conversation store's database: found, made where there is none, and migrated."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.database import Database
from aiostream_server.store.errors import OPENING_ERRORS, reason
from aiostream_server.store.migrate import NewerSchema, migrate
from aiostream_server.store.sqlite_file import prepare_file
from aiostream_server.store.urls import describe, find_url, secrets_of

_TIMEOUT_S: Final = 10.0


@asynccontextmanager
async def open_database(
    config: ConversationsConfig, state_directory: Path, *, must_exist: bool
) -> AsyncIterator[Database]:
    """Raise `ConfigError`, with one line that holds no password."""
    url = find_url(config, state_directory)
    try:
        if url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_prepare, url, config, state_directory, must_exist)
        await migrate(url)
    except NewerSchema as exc:
        problem = f"a newer version of aiostream-server has used it ({exc}): install that one, or name another url"
        raise _cannot(url, problem) from None
    except OPENING_ERRORS as exc:
        raise _cannot(url, reason(exc, secrets_of(url))) from exc
    database = Database(url, timeout_s=_TIMEOUT_S)
    try:
        yield database
    finally:
        await database.close()


def _prepare(url: URL, config: ConversationsConfig, state_directory: Path, must_exist: bool) -> None:
    path = Path(url.database or "")
    if must_exist and not path.exists():
        raise ConfigError([f"[conversations] there is no {path}: a server that has kept nothing, or another folder"])
    if config.resolved_url is None:
        state_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_file(path, timeout_s=_TIMEOUT_S)


def _cannot(url: URL, problem: str) -> ConfigError:
    return ConfigError([f"[conversations] {describe(url)} cannot be opened: {problem}"])
