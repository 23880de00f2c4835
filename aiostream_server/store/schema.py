"""The tables of the conversation store, as the newest migration leaves them.

Names come from clients and may be as long as a header and hold any character, but PostgreSQL's indexes take 2.7 kB and
its texts no NUL: rows are found by a hash of the names, and the names are stored escaped.
"""

import hashlib
import json
import re
from typing import Final

from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

HEAD: Final = "0001"
"""The newest migration: what this version reads and writes."""

VERSION_TABLE: Final = "aiostream_schema"
"""Not alembic's own name for it: the database may be shared with a program that uses alembic, too."""

_ESCAPE: Final = re.compile(r"\\(?:(\\)|u([0-9a-f]{4}))")


def escape(text: str) -> str:
    """Without NUL and lone surrogates, which no database keeps: `\\uXXXX` in their place, and backslashes doubled."""
    visible = text.replace("\\", "\\\\").replace("\0", "\\u0000")
    return visible.encode("utf-8", "backslashreplace").decode()


def unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: match[1] or chr(int(match[2], 16)), text)


class AnyText(TypeDecorator[str]):
    """Every Python string, whatever it holds."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unescape(value)


def digest(*parts: str) -> str:
    """SHA-256 of the parts, each by itself: ("a", "b") is not ("ab", "")."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


metadata: Final = MetaData()
memories: Final = Table(
    "aiostream_memories",
    metadata,
    # The order of keeping: a clock that is set back must not make the newest row the oldest.
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("address", Text, nullable=False),  # digest(key_id, user_id, conversation)
    Column("identity", Text, nullable=False, unique=True),  # digest of what makes two memories the same one
    Column("key_id", AnyText, nullable=False),
    Column("user_id", AnyText, nullable=False),
    Column("conversation", AnyText, nullable=False),
    Column("team", AnyText, nullable=False),
    Column("fingerprint", AnyText, nullable=False),
    Column("answers", Text, nullable=False),  # a JSON list
    Column("waits_for", AnyText),
    Column("updated_at", Double, nullable=False),  # Unix time
    Column("state", LargeBinary, nullable=False),  # zlib; the large ones last: SQLite reads a row from its beginning
    Column("turns", LargeBinary, nullable=False),
    Index("aiostream_memories_address", "address", "id"),
    Index("aiostream_memories_updated_at", "updated_at"),
)
