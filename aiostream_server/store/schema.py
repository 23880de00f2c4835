"""The table of the conversation store, as the newest migration leaves it, and the statements of every turn.

Names come from clients: they may be as long as a header and hold any character, but PostgreSQL's indexes take 2.7 kB
and its texts no NUL. So rows are found by a hash of the names, and the names are stored escaped.
"""

import hashlib
import json
import re
from typing import Final

import sqlalchemy as sa
from sqlalchemy.types import TypeDecorator

HEAD: Final = "0002"
"""The newest migration: the schema that this version reads and writes."""

VERSION_TABLE: Final = "aiostream_schema"
"""Not alembic's default: another program that uses alembic may share the database."""

MAX_MEMORIES: Final = 3
"""Per conversation: the last answer, and those that an edited or repeated question goes back to."""

_ESCAPE: Final = re.compile(r"\\(?:(\\)|u([0-9a-f]{4}))")


def escape(text: str) -> str:
    """Write NUL and lone surrogates, which no database stores, as `\\uXXXX`, and double backslashes."""
    visible = text.replace("\\", "\\\\").replace("\0", "\\u0000")
    return visible.encode("utf-8", "backslashreplace").decode()


def unescape(text: str) -> str:
    return _ESCAPE.sub(lambda match: match[1] or chr(int(match[2], 16)), text)


class AnyText(TypeDecorator[str]):
    """Any Python string."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else escape(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> str | None:
        return None if value is None else unescape(value)


def digest(*parts: str) -> str:
    """SHA-256 of the parts; ("a", "b") and ("ab", "") differ."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


metadata: Final = sa.MetaData()
memories: Final = sa.Table(
    "aiostream_memories",
    metadata,
    # Ascending with each row: a clock that is set back must not make the newest row the oldest.
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("address", sa.Text, nullable=False),  # digest(key_id, user_id, conversation)
    sa.Column("identity", sa.Text, nullable=False, unique=True),  # digest: a row replaces the one with the same
    sa.Column("key_id", AnyText, nullable=False),
    sa.Column("user_id", AnyText, nullable=False),
    sa.Column("conversation", AnyText, nullable=False),
    sa.Column("team", AnyText, nullable=False),
    sa.Column("fingerprint", AnyText, nullable=False),
    sa.Column("answers", sa.Text, nullable=False),  # a JSON list
    sa.Column("waits_for", AnyText),
    sa.Column("updated_at", sa.Double, nullable=False),  # Unix time
    sa.Column("version", sa.Text, nullable=False, server_default=""),  # of the turn that was kept; random
    sa.Column("state", sa.LargeBinary, nullable=False),  # zlib; large columns last: SQLite reads rows from the left
    sa.Column("turns", sa.LargeBinary, nullable=False),
    sa.Index("aiostream_memories_address", "address", "id"),
    sa.Index("aiostream_memories_updated_at", "updated_at"),
)

# Built once: SQLAlchemy takes longer to build a statement, and to find its compiled form, than SQLite to execute it.

_NEWEST_FIRST: Final = memories.c.id.desc()
_OF_ADDRESSES: Final = memories.c.address.in_(sa.bindparam("addresses", expanding=True))

FIND: Final = sa.select(memories).where(_OF_ADDRESSES).order_by(_NEWEST_FIRST)
"""The memories of some conversations, newest first, expired ones included."""

FIND_HEADINGS: Final = (
    sa.select(memories.c.id, memories.c.address, memories.c.identity, memories.c.version, memories.c.updated_at)
    .where(_OF_ADDRESSES)
    .order_by(_NEWEST_FIRST)
)
"""The same without anything large: what decides where a turn is written."""

FIND_ONE: Final = sa.select(memories).where(memories.c.id == sa.bindparam("of_id"))

DELETE: Final = sa.delete(memories).where(memories.c.id.in_(sa.bindparam("ids", expanding=True)))

LOCK: Final = sa.text("SELECT pg_advisory_xact_lock(number) FROM unnest(CAST(:numbers AS bigint[])) AS number")
"""PostgreSQL: until the end of the transaction, nothing else writes to the conversations of these numbers."""

SPEND: Final = (
    sa.update(memories)
    .where(
        memories.c.address == sa.bindparam("of_address"),
        memories.c.identity == sa.bindparam("of_identity"),
        memories.c.waits_for.is_not(None),
    )
    .values(waits_for=None, state=sa.bindparam("nothing"))
)
"""Clear the state of a memory that waits for the user."""
