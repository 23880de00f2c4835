"""Values of text columns that have few: of the first tables from their rows, of others from the planner's statistics.

Statistics cost one query for any number of tables, and are there once the server has analysed a table.
https://www.postgresql.org/docs/current/view-pg-stats.html
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final, TypeAlias

from sqlalchemy import Select, case, cast, column, func, literal, select, text, union_all
from sqlalchemy import table as table_clause
from sqlalchemy.dialects.postgresql import TEXT, array
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from aiostream_server.tools.sql.reflection.choice import (
    MAX_SAMPLE_CHARS,
    MAX_SAMPLES,
    SAMPLED_ROWS,
    SAMPLED_TABLES,
    telling,
)

_AT_ONCE: Final = 10
_DIALECT: Final = dialect()  # type: ignore[no-untyped-call]
_STATISTICS: Final = text(
    """
    SELECT schemaname AS schema, tablename AS table, attname AS column, most_common_vals::text::text[] AS found
    FROM pg_catalog.pg_stats
    WHERE schemaname = ANY(:schemas) AND n_distinct BETWEEN 1 AND :most AND most_common_vals IS NOT NULL
    """
)

TextColumns: TypeAlias = Mapping[tuple[str, str], Sequence[str]]
"""By schema and table the columns with values that are text."""
Samples: TypeAlias = dict[tuple[str, str, str], tuple[str, ...]]
"""By schema, table and column."""


async def read_samples(connection: AsyncConnection, schemas: Sequence[str], columns: TextColumns) -> Samples:
    with_text = {table: names for table, names in columns.items() if names}
    first = [*islice(with_text.items(), SAMPLED_TABLES)]
    samples: Samples = {}
    for start in range(0, len(first), _AT_ONCE):
        samples |= await _of_rows(connection, dict(first[start : start + _AT_ONCE]))
    if len(with_text) > len(first):
        samples = await _of_statistics(connection, schemas, with_text) | samples
    return samples


async def _of_statistics(connection: AsyncConnection, schemas: Sequence[str], columns: TextColumns) -> Samples:
    rows = await connection.execute(_STATISTICS, {"schemas": list(schemas), "most": MAX_SAMPLES})
    return {
        (row.schema, row.table, row.column): telling(row.found)
        for row in rows
        if row.column in columns.get((row.schema, row.table), ())
    }


async def _of_rows(connection: AsyncConnection, columns: TextColumns) -> Samples:
    """Where one table cannot be read (row security that fails, a broken index), the others are read one by one."""
    tables = [*columns]
    statement = await asyncio.to_thread(_statement, columns)
    try:
        async with connection.begin_nested():
            rows = (await connection.exec_driver_sql(statement)).all()
    except DBAPIError:
        if len(tables) == 1:
            return {}
        samples: Samples = {}
        for table in tables:
            samples |= await _of_rows(connection, {table: columns[table]})
        return samples
    return {
        (*tables[row.number], name): telling(json.loads(values or "[]"))
        for row in rows
        for name, values in zip(columns[tables[row.number]], row.found, strict=True)
    }


def _statement(columns: TextColumns) -> str:
    """One row for each table. Writing it takes longer than the server takes to run it."""
    selects = (_values(number, table, names) for number, (table, names) in enumerate(columns.items()))
    return str(union_all(*selects).compile(dialect=_DIALECT, compile_kwargs={"literal_binds": True}))


def _values(number: int, table: tuple[str, str], names: Sequence[str]) -> Select[tuple[int, list[str | None]]]:
    """One row: the number, and for each column its different values in the table's first rows, if they are few."""
    cut = [
        func.substr(cast(column(name), TEXT), 1, MAX_SAMPLE_CHARS + 1).label(f"c{n}") for n, name in enumerate(names)
    ]
    rows = select(*cut).select_from(table_clause(table[1], schema=table[0])).limit(SAMPLED_ROWS).subquery()
    found = [
        case((func.count(each.distinct()) <= MAX_SAMPLES, cast(func.json_agg(each.distinct()), TEXT)))
        for each in rows.c
    ]
    return select(literal(number).label("number"), array(found).label("found"))
