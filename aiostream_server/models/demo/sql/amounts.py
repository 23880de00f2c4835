"""Where a schema keeps amounts: columns of money, quantities times prices, and quantities sold."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.sql.schema_text import Column, Schema
from aiostream_server.models.demo.sql.words import name_parts
from aiostream_server.models.demo.word_list import word_list

_AMOUNTS: Final = word_list("revenue sale turnover amount total subtotal value")
_PRICES: Final = word_list("unit_price price sale_price price_each list_price")
_QUANTITIES: Final = frozenset(word_list("quantity qty unit piece"))
_CENTS: Final = re.compile(r"_(?:cents?|pence)$")


@dataclass(frozen=True, slots=True)
class Amount:
    """`value` is SQL over one row of `table`, joined with the tables of `also`.

    What is whole needs no rounding; what is binary cannot always have it.
    """

    value: str
    table: str
    name: str
    is_whole: bool
    is_binary: bool
    also: tuple[str, ...] = ()


def amount_of(column: Column) -> Amount:
    """A column as an amount: cents are counted in whole units."""
    is_cents = bool(_CENTS.search(column.name))
    return Amount(
        value=f"{column.sql} / 100.0" if is_cents else column.sql,
        table=column.table,
        name=_CENTS.sub("", column.name),
        is_whole="INT" in column.type.upper() and not is_cents,
        is_binary=bool(re.search(r"REAL|FLOA|DOUB", column.type, re.IGNORECASE)),
    )


def amounts(schema: Schema) -> Iterator[Amount]:
    """Ways to see money, the plainest first: an amount, quantity times price, quantity times another table's price."""
    for name in _AMOUNTS:
        for column in schema.columns:
            parts = name_parts(_CENTS.sub("", column.name))
            if column.is_number and name in parts and not _QUANTITIES & set(parts) and _belongs(schema, column):
                yield amount_of(column)
    for quantity in quantities(schema):
        parents = [one.references[0] for one in _columns(schema, quantity.table) if one.references]
        price = next((found for name in (quantity.table, *parents) if (found := _price(schema, name))), None)
        if price:
            each = amount_of(price)
            value = f"{quantity.sql} * {each.value}{_discount(schema, quantity.table)}"
            also = (price.table,) if price.table != quantity.table else ()
            yield Amount(value, quantity.table, "sales", each.is_whole, each.is_binary, also)


def quantities(schema: Schema) -> Iterator[Column]:
    """Columns that say how many were sold: quantities beside foreign keys."""
    numbers = ((column, name_parts(column.name)) for column in schema.columns if column.is_number)
    yield from (column for column, parts in numbers if parts and parts[-1] in _QUANTITIES and _belongs(schema, column))


def _belongs(schema: Schema, column: Column) -> bool:
    """Whether the rows of the column's table belong to something: what happened, not what there is."""
    return any(one.references for one in _columns(schema, column.table))


def _columns(schema: Schema, table: str) -> list[Column]:
    found = schema.table(table)
    return found.columns if found else []


def _price(schema: Schema, table: str) -> Column | None:
    numbers = {_CENTS.sub("", one.name.lower()): one for one in _columns(schema, table) if one.is_number}
    return next((numbers[name] for name in _PRICES if name in numbers), None)


def _discount(schema: Schema, table: str) -> str:
    """A discount is read as a share of the price, where its type can hold one."""
    found = next((one for one in _columns(schema, table) if one.name.lower() == "discount" and one.is_number), None)
    return f" * (1 - {found.sql})" if found and "INT" not in found.type.upper() else ""
