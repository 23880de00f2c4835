"""A SELECT that shows rows of one table as they are: "list the products", "the five cheapest", "the latest orders"."""

from collections.abc import Sequence
from typing import Final

from aiostream_server.models.demo.sql.filters import Filter
from aiostream_server.models.demo.sql.measures import is_ranked_high
from aiostream_server.models.demo.sql.names import label_of, mentioned_numbers
from aiostream_server.models.demo.sql.schema_text import Column, Schema, Table
from aiostream_server.models.demo.sql.select import Select
from aiostream_server.models.demo.sql.words import Words, name_parts

_MOST_COLUMNS: Final = 6
_CHEAP: Final = r"cheap|cheapest|least expensive|inexpensive"
_NEW: Final = r"newest|latest|most recent|recent|last"
_OLD: Final = r"oldest|earliest|first"


def list_rows(words: Words, schema: Schema, table: Table, filters: Sequence[Filter]) -> tuple[Select, str]:
    """The rows, and what they are ordered by in a few words (empty where nothing was asked for)."""
    select = Select(table.name)
    shown = [column for column in table.columns if column.references is None][:_MOST_COLUMNS]
    for one in filters:
        if select.reach(schema, [one.column.table]):
            select.where.append(one.condition)
            if one.column.table != table.name and not select.multiplies:
                shown.append(one.column)
    order = _order(words, schema, table)
    label = label_of(table)
    if order:  # what the rows are ranked by comes last, where a reader looks for it
        shown = [*(column for column in shown if column is not order[0]), order[0]]
    select.columns = [(column.sql, _alias(column, table)) for column in _unique(shown)]
    first = (label or table.columns[0]).sql if table.columns else "1"
    select.order = f"{order[0].sql} {'DESC' if order[1] else 'ASC'}" if order else first
    return select, f"{order[0].sql}, {_direction(order[0], downwards=order[1])} first" if order else ""


def _order(words: Words, schema: Schema, table: Table) -> tuple[Column, bool] | None:
    """The column to order by, and whether downwards."""
    numbers = [one for one in table.columns if one.is_number]
    price = next((one for one in numbers if "price" in name_parts(one.name)), None)
    if price and words.has(rf"{_CHEAP}|expensive|priciest"):
        return price, not words.has(_CHEAP)
    ranked_high = is_ranked_high(words)
    named = next((one for one in mentioned_numbers(words, schema) if one.table == table.name), None)
    if named and ranked_high is not None:
        return named, ranked_high
    dated = next((one for one in table.columns if one.is_date), None)
    if dated and words.has(rf"{_NEW}|{_OLD}"):
        return dated, words.has(_NEW)
    return None


def _direction(column: Column, *, downwards: bool) -> str:
    if column.is_date:
        return "newest" if downwards else "oldest"
    return "highest" if downwards else "lowest"


def _alias(column: Column, table: Table) -> str:
    return column.name if column.table == table.name else "_".join(name_parts(column.table))


def _unique(columns: Sequence[Column]) -> list[Column]:
    return list({(column.table, column.name): column for column in columns}.values())
