"""The queries of PostgreSQL's catalogs. Each reads all tables at once, and calls no function for a column where a join
or the table's own right tells the same: rights and comments of ten thousand columns would take seconds.
"""

from typing import Final

from sqlalchemy import text

SESSION: Final = text(
    """
    SELECT current_setting('server_version') AS version, current_setting('TimeZone') AS timezone,
           current_database() AS catalog, current_schemas(false)::text[] AS home,
           ARRAY(SELECT nspname::text FROM pg_catalog.pg_namespace) AS known
    """
)

STAMP: Final = text(
    " UNION ALL ".join(
        f"SELECT '{catalog}' AS catalog, count(*) AS rows, sum(hashint8(xmin::text::bigint))::bigint AS versions "  # noqa: S608
        f"FROM pg_catalog.{catalog}"
        for catalog in (
            *("pg_class", "pg_attribute", "pg_constraint", "pg_description", "pg_enum", "pg_namespace"),
            *("pg_type", "pg_auth_members", "pg_proc", "pg_operator", "pg_cast", "pg_depend"),
        )
    )
)

COLUMN_FIELDS: Final = (
    *("number", "name", "type", "is_built_in", "is_required", "is_generated", "is_text", "is_open", "labels"),
    "comment",
)
"""What the array of a column in `TABLES` holds, in this order."""

TABLES: Final = text(
    """
    WITH labels AS MATERIALIZED (
        SELECT enumtypid, json_agg(enumlabel ORDER BY enumsortorder) AS labels
        FROM pg_catalog.pg_enum GROUP BY enumtypid
    )
    SELECT json_build_object(
        'id', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind,
        'is_partition', c.relispartition, 'is_home', pg_catalog.pg_table_is_visible(c.oid),
        'comment', pg_catalog.obj_description(c.oid, 'pg_class'),
        'columns', (
            SELECT json_agg(json_build_array(
                a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
                t.typnamespace = 'pg_catalog'::regnamespace, a.attnotnull, a.attgenerated <> '', t.typcategory = 'S',
                r.schema_is_open AND (r.table_is_open OR pg_catalog.has_column_privilege(c.oid, a.attnum, 'SELECT')),
                e.labels, d.description
            ))
            FROM pg_catalog.pg_attribute a
            JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
            LEFT JOIN labels e ON e.enumtypid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END
            LEFT JOIN pg_catalog.pg_description d
                ON d.objoid = c.oid AND d.classoid = 'pg_catalog.pg_class'::regclass AND d.objsubid = a.attnum
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
        )
    )::text
    FROM pg_catalog.pg_class c
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL (
        SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AS schema_is_open,
               pg_catalog.has_table_privilege(c.oid, 'SELECT') AS table_is_open
    ) AS r
    WHERE n.nspname = ANY(:schemas) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
      AND EXISTS (
          SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
      )
    """
)
KEYS: Final = text(
    """
    SELECT json_build_object(
        'kind', k.contype, 'here', k.conrelid::bigint, 'columns', k.conkey,
        'there', k.confrelid::bigint, 'references', k.confkey
    )::text
    FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_class c ON c.oid = k.conrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE k.contype IN ('p', 'f') AND n.nspname = ANY(:schemas)
    """
)

TYPES: Final = text(
    """
    SELECT n.nspname AS schema, t.typname AS name, pg_catalog.pg_type_is_visible(t.oid) AS is_home
    FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
    WHERE n.nspname = ANY(:schemas) AND pg_catalog.has_type_privilege(t.oid, 'USAGE')
      AND (t.typtype IN ('e', 'd')
           OR EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid = t.typrelid AND c.relkind = 'c'))
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type f ON f.oid = a.atttypid
                      WHERE a.attrelid = t.typrelid AND f.typtype IN ('c', 'd') AND a.attnum > 0)
      -- The check of a domain may call a function of the database: a cast would run it.
      AND NOT EXISTS (
          SELECT FROM pg_catalog.pg_constraint k
          JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
               AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
          WHERE k.contypid = t.oid
      )
    """
)
