"""What alembic runs: the versions that are due, on the connection and in the transaction of `store.migrate`."""

from alembic import context
from sqlalchemy import Connection

from aiostream_server.store.schema import VERSION_TABLE, metadata

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)  # noqa: S101 - alembic passes anything through
context.configure(connection=connection, target_metadata=metadata, version_table=VERSION_TABLE)
context.run_migrations()
