"""Schemas are read from DDL-like text, however it is laid out; nothing breaks the reader."""

from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.sql.joins import join_tables
from aiostream_server.models.demo.sql.schema_text import parse_schema, quoted

SHOP = """\
-- SQLite
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL, -- e.g. 'Ada''s', 'Bob'
  joined_on DATE
);
CREATE TABLE IF NOT EXISTS "Order" ("id" INTEGER PRIMARY KEY, buyer INTEGER REFERENCES customers, total NUMERIC(10, 2));
CREATE TABLE public.items (
  order_id integer NOT NULL,
  [line no] integer,
  price real DEFAULT 0, -- no samples here
  PRIMARY KEY (order_id),
  CONSTRAINT fk FOREIGN KEY (order_id) REFERENCES "Order" (id),
  FOREIGN KEY (gone) REFERENCES nowhere (id),
  UNIQUE (price)
);
CREATE VIEW totals (
  customer_id INTEGER REFERENCES missing (id)
);
Some prose at the end.
"""


def test_tables_columns_types_and_samples() -> None:
    schema = parse_schema(SHOP)
    assert [table.name for table in schema.tables] == ["customers", "Order", "items", "totals"]
    customers, order, items, totals = schema.tables
    assert customers.columns[1].samples == ("Ada's", "Bob")
    assert [column.type for column in customers.columns] == ["INTEGER", "TEXT", "DATE"]
    assert [column.type for column in order.columns] == ["INTEGER", "INTEGER", "NUMERIC(10, 2)"]
    assert [column.name for column in items.columns] == ["order_id", "line no", "price"]
    assert items.columns[2].type == "real"
    assert items.key is items.columns[0]
    assert totals.columns[0].references is None


def test_references_with_and_without_a_column() -> None:
    schema = parse_schema(SHOP)
    assert schema.tables[1].columns[1].references == ("customers", "id")
    assert schema.tables[2].columns[0].references == ("Order", "id")


def test_kinds_of_columns() -> None:
    by_name = {column.name: column for column in parse_schema(SHOP).columns}
    assert by_name["joined_on"].is_date
    assert by_name["total"].is_number
    assert by_name["name"].is_text
    assert by_name["customer_id"].is_key


def test_dialect() -> None:
    assert parse_schema(SHOP).dialect == "sqlite"
    assert parse_schema("-- PostgreSQL\n").dialect == "postgresql"
    assert parse_schema("-- database shop (postgres)\n").dialect == "postgresql"


def test_names_are_quoted_where_they_must_be() -> None:
    assert [quoted(name) for name in ("orders", "order", "Order", 'a"b')] == ["orders", '"order"', '"Order"', '"a""b"']


def test_joins_take_the_shortest_way() -> None:
    schema = parse_schema(SHOP)
    joins = join_tables(schema, "items", ["customers"])
    assert joins is not None
    assert [join.table for join in joins] == ["Order", "customers"]
    assert not any(join.to_many for join in joins)
    back = join_tables(schema, "customers", ["items", "Order"])
    assert back is not None
    assert [join.to_many for join in back] == [True, True]


def test_no_way_is_none() -> None:
    assert join_tables(parse_schema(SHOP), "customers", ["totals"]) is None


@given(
    st.text(max_size=200) | st.text(alphabet="CREATE TABLE x(),;'-\n\"[]`ab REFERENCES id PRIMARY KEY", max_size=200)
)
def test_no_text_breaks_it(text: str) -> None:
    parse_schema(text)


@given(st.integers(0, len(SHOP)), st.integers(0, len(SHOP)))
def test_no_cut_breaks_it(start: int, end: int) -> None:
    parse_schema(SHOP[start:end])
