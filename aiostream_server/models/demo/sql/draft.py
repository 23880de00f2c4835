"""One SELECT for a question, from the text of a schema and nothing else."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.number_words import digits_for_words
from aiostream_server.models.demo.sql.dates import bucket, find_period, period_condition
from aiostream_server.models.demo.sql.dimensions import Dimension, dimension_of, find_dimensions
from aiostream_server.models.demo.sql.filters import (
    Filter,
    compared_column,
    find_comparison,
    find_filters,
    unknown_names,
)
from aiostream_server.models.demo.sql.listing import list_rows
from aiostream_server.models.demo.sql.measures import (
    Measure,
    counting,
    find_measure,
    is_ranked_high,
    money,
)
from aiostream_server.models.demo.sql.names import mentioned_tables
from aiostream_server.models.demo.sql.schema_text import Column, Schema, Table, quoted
from aiostream_server.models.demo.sql.select import Select, date_column
from aiostream_server.models.demo.sql.words import Words, read_words

_RANKED_ROWS: Final = 10
_LISTED_ROWS: Final = 20
_TOP: Final = re.compile(r"\b(?:top|best|worst|bottom|first|last|latest|newest|show|list)\s+(\d{1,3})\b")
_TOP_BEHIND: Final = re.compile(
    r"\b(\d{1,3})\s+(?:\w+[- ])?"
    r"(?:best|worst|most|least|cheapest|largest|biggest|smallest|highest|lowest|latest|newest|oldest)"
)
_RANKED_BY_MONEY: Final = r"top|best|worst|bottom|biggest|largest|smallest|leading|strongest|weakest|valuable|important"
_RANKED_BY_NUMBER: Final = r"highest|lowest|most|least|fewest|maximum|minimum"
_VERBS: Final = {
    "SUM": "add up",
    "AVG": "average",
    "COUNT": "count",
    "MAX": "take the highest",
    "MIN": "take the lowest",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A statement, and the sentence that says what it will do."""

    sql: str
    plan: str


@dataclass(frozen=True, slots=True)
class _Reading:
    """A question, taken apart against a schema."""

    words: Words
    schema: Schema
    filters: list[Filter]
    dimensions: list[Dimension]
    tables: list[Table]

    @property
    def grouped(self) -> list[str]:
        """Tables that numbers are split or filtered by."""
        columns = [*(one.column for one in self.dimensions if one.column), *(one.column for one in self.filters)]
        return list(dict.fromkeys(column.table for column in columns))


def draft(question: str, schema: Schema) -> Draft | None:
    """The statement for a question; None where the question names nothing that the schema has."""
    reading = _read(question, schema)
    made = _drafted(reading, _measure(reading))
    if made is None:
        return None
    unknown = unknown_names(question, reading.filters, schema)
    left_out = f" Nothing in the schema is called {' or '.join(unknown)}, so I leave that out." if unknown else ""
    return Draft(made.sql, made.plan + left_out)


def draft_simpler(question: str, schema: Schema) -> Draft | None:
    """What is left to try when the first statement did not work: a look at the rows it was about."""
    reading = _read(question, schema)
    table = _main_table(reading, _measure(reading))
    if table is None:
        return None
    select, _ = list_rows(read_words(""), schema, table, [])
    select.limit = _RANKED_ROWS
    return Draft(select.sql(), f"I will try something simpler, and look at the first rows of {table.name}.")


def _drafted(reading: _Reading, measure: Measure | None) -> Draft | None:
    if measure and not _is_one_row_each(measure, reading) and (select := _aggregated(measure, reading)):
        return Draft(select.sql(), _plan(measure, reading, select))
    table = _main_table(reading, measure)
    return _listed(table, reading) if table else None


def _read(question: str, schema: Schema) -> _Reading:
    words = read_words(digits_for_words(question.casefold()))
    filters = find_filters(question, words, schema)
    dimensions = find_dimensions(words, schema)
    if not dimensions:  # "compare West and East" is split by what both are
        compared = (dimension_of(one.column) for one in filters if len(one.values) > 1)
        dimensions = [one for one in compared if one]
    return _Reading(words, schema, filters, dimensions, mentioned_tables(words, schema))


def _measure(reading: _Reading) -> Measure | None:
    words, schema = reading.words, reading.schema
    comparison = find_comparison(words)
    if comparison and reading.dimensions and (counted := mentioned_tables(comparison.rest, schema)):
        return counting(counted[0])  # "which customers placed more than 5 orders"
    found = find_measure(words, schema, reading.grouped)
    if found is None and reading.dimensions and words.has(_RANKED_BY_MONEY):
        return money(words, schema, reading.grouped)  # "top 5 customers"
    if found is None and reading.tables and _is_split(reading):
        return counting(reading.tables[0])  # "orders by status"
    return found


def _is_one_row_each(measure: Measure, reading: _Reading) -> bool:
    """ "The product with the highest price" is a row, not a group of rows."""
    keys = [one.key.table for one in reading.dimensions if one.key]
    return measure.function != "COUNT" and keys == [measure.base]


def _is_split(reading: _Reading) -> bool:
    dimensions = [one for one in reading.dimensions if one.key is None or one.key.table != reading.tables[0].name]
    is_timed = any(one.unit for one in dimensions)
    return is_timed or (bool(dimensions) and reading.words.has(r"by|per|each|every|compare"))


def _main_table(reading: _Reading, measure: Measure | None) -> Table | None:
    named = [one.column.table for one in reading.dimensions if one.key and one.column]
    names = [*named, *(table.name for table in reading.tables), *([measure.base] if measure else [])]
    names += reading.grouped
    return reading.schema.table(names[0]) if names else None


def _aggregated(measure: Measure, reading: _Reading) -> Select | None:
    """Counted, added up or averaged, by the dimensions; None where those cannot be joined."""
    select = Select(measure.base)
    tables = [one.column.table for one in reading.dimensions if one.column]
    if not select.reach(reading.schema, [*(measure.amount.also if measure.amount else ()), *tables]):
        return None
    select.where = [one.condition for one in reading.filters if select.reach(reading.schema, [one.column.table])]
    _add_period(select, reading)
    _add_dimensions(select, reading)
    value = measure.sql(reading.schema, multiplied=select.multiplies)
    select.columns.append((value, measure.alias))
    _add_comparison(select, value, reading)
    _add_order(select, measure.alias, reading)
    return select


def _add_dimensions(select: Select, reading: _Reading) -> None:
    for one in reading.dimensions:
        if one.column:
            select.columns.append((one.column.sql, one.alias))
            # Two rows may have one name: what the key tells apart stays apart.
            select.group += [one.key.sql, one.column.sql] if one.key else [one.column.sql]
        elif one.unit and (date := _reach_date(select, reading)):
            part = bucket(reading.schema.dialect, date, one.unit)
            select.columns.append((part, one.alias))
            select.group.append(part)


def _add_period(select: Select, reading: _Reading) -> None:
    period = find_period(reading.words.text)
    if period and (date := _reach_date(select, reading)):
        select.where.append(period_condition(reading.schema.dialect, date, period))


def _reach_date(select: Select, reading: _Reading) -> Column | None:
    """The date that is meant, its table joined."""
    date = date_column(reading.schema, select.base, reading.words)
    return date if date and select.reach(reading.schema, [date.table]) else None


def _add_comparison(select: Select, value: str, reading: _Reading) -> None:
    comparison = find_comparison(reading.words)
    table = reading.schema.table(select.base)
    if comparison and select.group:
        select.having = f"{value} {comparison.operator} {comparison.number}"
    elif comparison and table and (column := compared_column(comparison, reading.words, reading.schema, table)):
        select.where.append(f"{column.sql} {comparison.operator} {comparison.number}")


def _add_order(select: Select, alias: str, reading: _Reading) -> None:
    if not select.group:
        return
    ranked_high = is_ranked_high(reading.words)
    units = [one.alias for one in reading.dimensions if one.unit]
    if units and ranked_high is None:
        select.order = ", ".join(quoted(one.alias) for one in reading.dimensions)
        return
    select.order = f"{quoted(alias)} {'ASC' if ranked_high is False else 'DESC'}"
    select.limit = _limit(reading.words) or (_RANKED_ROWS if ranked_high is not None else None)


def _listed(table: Table, reading: _Reading) -> Draft | None:
    select, order = list_rows(reading.words, reading.schema, table, reading.filters)
    if not order and reading.words.has(_RANKED_BY_NUMBER):
        return None  # "the lowest stock", where nothing is called stock: a list would be no answer
    comparison = find_comparison(reading.words)
    if comparison and (column := compared_column(comparison, reading.words, reading.schema, table)):
        select.where.append(f"{column.sql} {comparison.operator} {comparison.number}")
    _add_period(select, reading)
    select.is_distinct = select.multiplies
    select.limit = _limit(reading.words) or _LISTED_ROWS
    by = f" by {order}" if order else ""
    return Draft(select.sql(), f"I will list {table.name}{_where(select)}{by}.")


def _limit(words: Words) -> int | None:
    found = _TOP.search(words.text) or _TOP_BEHIND.search(words.text)
    return max(1, int(found[1])) if found else None


def _plan(measure: Measure, reading: _Reading, select: Select) -> str:
    what = measure.amount.value if measure.amount else measure.base
    if measure.per:
        what = f"{what} for each of {measure.per.sql}"
    by = " and ".join(_split_by(reading.dimensions))
    ranked_high = is_ranked_high(reading.words)
    first = "" if ranked_high is None or not by else ", highest first" if ranked_high else ", lowest first"
    return f"I will {_VERBS[measure.function]} {what}{f' by {by}' if by else ''}{_where(select)}{first}."


def _split_by(dimensions: Sequence[Dimension]) -> Iterator[str]:
    yield from (one.column.sql if one.column else one.alias for one in dimensions)


def _where(select: Select) -> str:
    return f" where {' AND '.join(select.where)}" if select.where else ""
