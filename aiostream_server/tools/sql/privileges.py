"""Which tables and columns the connected role may read: what it may not is none of anybody's business.

https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-INFO-ACCESS
"""

from collections.abc import Mapping
from typing import Final

from sqlalchemy import Connection, text

_READABLE: Final = text(
    """
    SELECT c.relname, a.attname
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE n.nspname = :schema
      AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND has_schema_privilege(n.oid, 'USAGE')
      AND has_column_privilege(c.oid, a.attnum, 'SELECT')
    """
)


def readable_columns(connection: Connection, schema: str | None) -> Mapping[str, frozenset[str]]:
    """By table, in PostgreSQL. A right to a table is a right to its columns; a table without any is not there."""
    found: dict[str, set[str]] = {}
    for table, column in connection.execute(_READABLE, {"schema": schema}):
        found.setdefault(table, set()).add(column)
    return {table: frozenset(columns) for table, columns in found.items()}
