"""The statements that every turn of a conversation takes, built once.

SQLAlchemy takes longer to build one, and to find what it has compiled of its like, than SQLite to execute it.
"""

from typing import Final

from sqlalchemy import BindParameter, and_, bindparam, delete, insert, select, update

from aiostream_server.store.schema import memories

_MINE: Final = memories.c.address == bindparam("of_address")
_THIS: Final[BindParameter[str]] = bindparam("of_identity")

FIND: Final = (
    select(memories)
    .where(_MINE, memories.c.updated_at > bindparam("expired_until"))
    .order_by(memories.c.id.desc())
    .limit(bindparam("most"))
)
"""The newest that have not expired, the newest first."""

_STAYING: Final = (
    select(memories.c.id)
    .where(_MINE, memories.c.identity != _THIS)
    .order_by(memories.c.id.desc())
    .limit(bindparam("most"))
)

MAKE_ROOM: Final = delete(memories).where(_MINE, memories.c.id.not_in(_STAYING))
"""For one with this identity: of the others the newest stay."""

INSERT: Final = insert(memories)

SPEND: Final = (
    update(memories)
    .where(and_(_MINE, memories.c.identity == _THIS, memories.c.waits_for.is_not(None)))
    .values(waits_for=None, state=bindparam("nothing"))
    .returning(memories.c.id)
)
"""Leaves no state, and nobody who waits; returns a row if there was one."""
