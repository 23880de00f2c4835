"""The functions, operators, casts and composite fields that a PostgreSQL database defines itself."""

from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.tools.sql.own_code import OwnCode

# Only what is on the search path can be called by its name alone. A cast applies everywhere.
# An object with an entry of type 'e' in pg_depend belongs to an extension.
_OWN: Final = text(
    """
    WITH own_functions AS (
        SELECT p.oid, p.proname::text AS name FROM pg_catalog.pg_proc p
        WHERE p.pronamespace <> 'pg_catalog'::regnamespace AND p.pronamespace <> 'information_schema'::regnamespace
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                          WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
    )
    SELECT 'function' AS kind, name FROM own_functions WHERE pg_catalog.pg_function_is_visible(oid)
    UNION
    SELECT 'operator', o.oprname FROM pg_catalog.pg_operator o WHERE o.oprcode IN (SELECT oid FROM own_functions)
      AND pg_catalog.pg_operator_is_visible(o.oid)
    UNION
    SELECT 'cast', pg_catalog.format_type(c.casttarget, NULL) FROM pg_catalog.pg_cast c
    WHERE c.castfunc IN (SELECT oid FROM own_functions)
    UNION
    SELECT 'field', a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid
    WHERE c.relkind = 'c' AND a.attnum > 0 AND NOT a.attisdropped
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_proc p WHERE p.proname = a.attname)
    """
)


async def read_own_code(connection: AsyncConnection) -> OwnCode:
    found: dict[str, set[str]] = {"function": set(), "operator": set(), "cast": set(), "field": set()}
    for row in await connection.execute(_OWN):
        found[row.kind].add(row.name)
    return OwnCode(*(frozenset(names) for names in found.values()))
