"""The version of each memory: a turn that continues another one than the newest is merged instead of replacing it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    # With a default: servers of the version before, which still run during an upgrade, insert rows without it.
    op.add_column("aiostream_memories", sa.Column("version", sa.Text(), nullable=False, server_default=""))
