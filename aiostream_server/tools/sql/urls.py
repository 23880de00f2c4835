"""Database URLs as people write them, made into the ones that SQLAlchemy's asyncio engines open.

`sqlite:///shop.db`, `postgres://...` and `postgresql://...` are known everywhere; the drivers are ours to choose.
"""

from pathlib import Path
from typing import Final
from urllib.parse import quote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from aiostream_server.tools.sql.dialects import DialectName
from aiostream_server.tools.sql.errors import DatabaseUnreachable

_DIALECTS: Final[dict[str, DialectName]] = {"sqlite": "sqlite", "postgres": "postgres", "postgresql": "postgres"}
_DRIVERS: Final[dict[DialectName, str]] = {"sqlite": "sqlite+aiosqlite", "postgres": "postgresql+asyncpg"}


def normalise_url(text: str) -> URL:
    """Raise `DatabaseUnreachable`, which never shows the URL itself: it may hold a password."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as exc:
        raise DatabaseUnreachable("not a database URL; write sqlite:///file or postgresql://user@host/name") from exc
    url = url.set(drivername=_DRIVERS[dialect_of(url)])
    return url if "sslmode" not in url.query else _as_asyncpg_says_it(url)


def dialect_of(url: URL) -> DialectName:
    scheme = url.drivername.partition("+")[0]
    if scheme not in _DIALECTS:
        raise DatabaseUnreachable(f"{scheme}:// databases cannot be asked; sqlite:// and postgresql:// can")
    return _DIALECTS[scheme]


def _as_asyncpg_says_it(url: URL) -> URL:
    mode = url.query["sslmode"]
    return url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})


def read_only_uri(url: URL) -> str:
    """A SQLite file as the `file:` URI that opens it without the right to write: https://www.sqlite.org/uri.html"""
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseUnreachable("a sqlite:// URL must name a file: sqlite:///relative.db or sqlite:////absolute.db")
    return f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"
