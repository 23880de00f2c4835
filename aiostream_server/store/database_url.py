"""The URL of the conversation database: the configured one, with the driver that this server uses."""

from pathlib import Path
from typing import Final

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from aiostream_server.config.model import ConversationsConfig
from aiostream_server.errors import ConfigError

FILE_NAME: Final = "conversations.db"
_DRIVERS: Final = {
    "sqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+asyncpg",
    "postgresql": "postgresql+asyncpg",
}


def find_url(config: ConversationsConfig, state_directory: Path) -> URL:
    """The configured database, or a file in the state directory. Raises `ConfigError`, which never shows the URL."""
    if config.resolved_url is None:
        return URL.create(_DRIVERS["sqlite"], database=str(state_directory.absolute() / FILE_NAME))
    try:
        url = make_url(config.resolved_url.get_secret_value())
    except (ArgumentError, ValueError):
        raise _wrong("it is not a database URL; write sqlite:///file or postgresql://user@host/name") from None
    scheme = url.drivername.partition("+")[0]
    if scheme not in _DRIVERS:
        raise _wrong("conversations are kept in sqlite:// and postgresql:// databases only")
    url = url.set(drivername=_DRIVERS[scheme])
    if scheme == "sqlite":
        return _checked_file(url)
    mode = url.query.get("sslmode")  # libpq's name of the parameter; asyncpg's is `ssl`
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode}) if mode else url


def describe(url: URL) -> str:
    """The database as an error message may name it: a path, or a host and a name."""
    if url.get_backend_name() == "sqlite":
        return url.database or ""
    return f"{url.database or 'the database'} on {url.host or 'the local socket'}"


def secrets_of(url: URL) -> frozenset[str]:
    """Strings that no message may contain."""
    given = [url.password, *(value for name, value in url.query.items() if name == "password")]
    return frozenset(str(secret) for secret in given if secret)


def _checked_file(url: URL) -> URL:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise _wrong("a sqlite:// URL must name a file: sqlite:///relative.db or sqlite:////absolute.db")
    if url.query:
        raise _wrong("a sqlite:// URL takes no parameters")
    return url.set(database=str(Path(url.database).absolute()))


def _wrong(problem: str) -> ConfigError:
    return ConfigError([f"[conversations] url: {problem}"])
