"""SQL is drafted from the schema's text alone: other shops, other dialects, other spellings."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.sql.dates import find_period
from aiostream_server.models.demo.sql.draft import draft, draft_simpler
from aiostream_server.models.demo.sql.schema_text import Schema, parse_schema
from aiostream_server.models.demo.sql.words import name_parts, singular
from aiostream_server.models.demo.sql.writes import asks_to_write, draft_write, own_statement

# Line items with prices but no amounts, a category that is a column, and an employee.
STORE = """\
-- SQLite
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT,
  country TEXT, -- e.g. 'France', 'New York', 'York'
  balance_cents INTEGER
);
CREATE TABLE employees (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER REFERENCES customers (id),
  employee_id INTEGER REFERENCES employees (id),
  invoiced_on TEXT,
  status TEXT -- e.g. 'open', 'paid'
);
CREATE TABLE lines (
  invoice_id INTEGER REFERENCES invoices (id),
  product_id INTEGER REFERENCES products (id),
  quantity INTEGER,
  discount REAL
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  title TEXT,
  kind TEXT, -- e.g. 'book', 'game'
  price REAL,
  stock INTEGER
);
CREATE TABLE notes (body TEXT);
"""
LITE = parse_schema(STORE)
POSTGRES = parse_schema(STORE.replace("SQLite", "PostgreSQL").replace("invoiced_on TEXT", "invoiced_on date"))


def sql(question: str, schema: Schema = LITE) -> str:
    made = draft(question, schema)
    assert made is not None
    return " ".join(made.sql.split())


def test_money_is_quantity_times_price_where_there_is_no_amount() -> None:
    assert sql("revenue by customer").split(" FROM ") == [
        (
            "SELECT customers.name AS customer, "
            "ROUND(SUM(lines.quantity * products.price * (1 - lines.discount)), 2) AS total_revenue"
        ),
        (
            "lines JOIN products ON lines.product_id = products.id JOIN invoices ON lines.invoice_id = invoices.id "
            "JOIN customers ON invoices.customer_id = customers.id "
            "GROUP BY customers.id, customers.name ORDER BY total_revenue DESC"
        ),
    ]


def test_average_order_is_per_invoice() -> None:
    assert "* 1.0 / COUNT(DISTINCT lines.invoice_id)" in sql("What is the average order value?")


def test_binary_fractions_are_not_rounded_where_the_dialect_cannot() -> None:
    assert "ROUND(AVG(products.price), 2)" in sql("average price by kind")
    assert "SELECT products.kind, AVG(products.price) AS average_price" in sql("average price by kind", POSTGRES)


def test_cents_are_shown_as_units() -> None:
    assert "ROUND(SUM(customers.balance_cents / 100.0), 2) AS total_balance" in sql("total balance by country")


@pytest.mark.parametrize(
    ("unit", "lite", "postgres"),
    [
        ("day", "strftime('%Y-%m-%d', invoices.invoiced_on)", "to_char(invoices.invoiced_on, 'YYYY-MM-DD')"),
        ("week", "strftime('%Y-W%W', invoices.invoiced_on)", "to_char(invoices.invoiced_on, 'IYYY-\"W\"IW')"),
        ("month", "strftime('%Y-%m', invoices.invoiced_on)", "to_char(invoices.invoiced_on, 'YYYY-MM')"),
        ("quarter", "|| '-Q' ||", "to_char(invoices.invoiced_on, 'YYYY-\"Q\"Q')"),
        ("year", "strftime('%Y', invoices.invoiced_on)", "to_char(invoices.invoiced_on, 'YYYY')"),
    ],
)
def test_time_is_cut_as_the_dialect_does_it(unit: str, lite: str, postgres: str) -> None:
    assert f"{lite}" in sql(f"invoices per {unit}")
    assert f"{postgres} AS {unit}" in sql(f"invoices per {unit}", POSTGRES)


def test_dates_kept_as_text_are_cast_in_postgres() -> None:
    text = parse_schema(STORE.replace("SQLite", "PostgreSQL"))
    assert "to_char(CAST(invoices.invoiced_on AS DATE), 'YYYY-MM')" in sql("monthly invoices", text)
    assert "'MM') = '05'" in sql("how many invoices in May", text)


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("sales in 2024", "2024-01-01", "2025-01-01"),
        ("2024 sales", "2024-01-01", "2025-01-01"),
        ("sales 2024?", "2024-01-01", "2025-01-01"),
        ("in december 2024", "2024-12-01", "2025-01-01"),
        ("in mar 2024", "2024-03-01", "2024-04-01"),
        ("during 2024-03", "2024-03-01", "2024-04-01"),
        ("on 2024-03-09", "2024-03-09", "2024-03-09T24"),
        ("since 2024-03-09", "2024-03-09", ""),
        ("before 2024-03-09", "", "2024-03-09"),
        ("q4 2024", "2024-10-01", "2025-01-01"),
        ("the second quarter of 2024", "2024-04-01", "2024-07-01"),
        ("between 2023 and 2024", "2023-01-01", "2025-01-01"),
        ("2024 versus 2023", "2023-01-01", "2025-01-01"),
        ("since 2024", "2024-01-01", ""),
        ("after 2024", "2025-01-01", ""),
        ("before 2024", "", "2024-01-01"),
        ("until 2024", "", "2025-01-01"),
    ],
)
def test_periods(text: str, start: str, end: str) -> None:
    period = find_period(text)
    assert period is not None
    assert (period.start, period.end) == (start, end)


def test_what_is_no_period() -> None:
    assert find_period("more than 2024 orders") is None
    assert find_period("you may march on") is None


@pytest.mark.parametrize(
    ("question", "part"),
    [
        ("How many customers are in New York?", "customers.country = 'New York'"),
        ("compare customers in France and New York", "GROUP BY customers.country"),
        ("paid invoices by country", "invoices.status = 'paid'"),
        ("Which customers have at least 3 invoices?", "HAVING COUNT(*) >= 3"),
        ("products with a price below 10", "products.price < 10"),
        ("products with at most 5 in stock", "products.stock <= 5"),
        ("Show the 3 most expensive games", "products.price DESC LIMIT 3"),
        ("which product has the lowest stock", "products.stock ASC"),
        ("the oldest invoices", "ORDER BY invoices.invoiced_on ASC"),
        ("best sellers", "SUM(lines.quantity) AS units_sold"),
        ("who sold the most?", "employees.name AS employee"),
        ("top 2 clients", "customers.name AS customer"),
        ("top two clients", "LIMIT 2"),
        ("sales over time", "AS month"),
        ("customers in the Bavaria country", "customers.country = 'Bavaria'"),
        ("How many invoices did Ada Smith pay?", "customers.name = 'Ada Smith'"),
        ("list customers invoiced in 2024", "SELECT DISTINCT"),
        ("How many purchases by employee", "COUNT(*) AS invoice_count"),
        ("How many sales were there?", "FROM invoices"),
        ("notes", "SELECT notes.body FROM notes ORDER BY notes.body LIMIT 20"),
        ("highest price per kind", "MAX(products.price)"),
        ("lowest price per kind", "MIN(products.price)"),
    ],
)
def test_questions_and_what_their_sql_has(question: str, part: str) -> None:
    assert part in sql(question)


def test_names_that_nothing_has_are_admitted() -> None:
    made = draft("Total revenue of Zebras", LITE)
    assert made is not None
    assert "Nothing in the schema is called Zebras" in made.plan


@pytest.mark.parametrize("question", ["", "What is the weather?", "Which product has the lowest weight?"])
def test_what_the_schema_cannot_answer_is_none(question: str) -> None:
    assert draft(question, LITE) is None


def test_simpler_draft_looks_at_the_rows() -> None:
    made = draft_simpler("Which customer has the highest revenue?", LITE)
    assert made is not None
    assert made.sql.endswith("FROM customers\nORDER BY customers.name\nLIMIT 10")
    assert draft_simpler("What is the weather?", LITE) is None


def test_tables_that_nothing_joins_are_left_out() -> None:
    schema = parse_schema("CREATE TABLE a (id INTEGER, kind TEXT);\nCREATE TABLE b (name TEXT -- e.g. 'Red'\n);")
    assert sql("How many a are Red?", schema) == "SELECT COUNT(*) AS a_count FROM a"
    assert sql("How many a by b?", schema).startswith("SELECT a.id, a.kind FROM a")


@pytest.mark.parametrize(
    ("question", "statement"),
    [
        ("delete all orders", "DELETE FROM invoices"),
        ("Please remove the customers in France", "DELETE FROM customers WHERE customers.country = 'France'"),
        (
            "delete the invoices of France",
            (
                "DELETE FROM invoices WHERE invoices.customer_id IN "
                "(SELECT customers.id FROM customers WHERE customers.country = 'France')"
            ),
        ),
        ("delete notes in France", "DELETE FROM notes"),
        ("drop table customers", "DROP TABLE customers"),
        ("Can you empty the invoices?", "TRUNCATE TABLE invoices"),
        ("set the price of all products to 0", "UPDATE products SET price = 0"),
        ("rename the customers to Bob", "UPDATE customers SET name = 'Bob'"),
        ("change customers", "UPDATE customers SET name = ''"),
        ("add a new customer named Bob", "INSERT INTO customers (name) VALUES ('Bob')"),
        ("insert something into notes", "INSERT INTO notes (body) VALUES ('new')"),
        ("alter table notes", "ALTER TABLE notes ADD COLUMN note TEXT"),
        ("delete everything", "DELETE FROM customers"),
    ],
)
def test_writes_are_drafted_as_asked(question: str, statement: str) -> None:
    made = draft_write(question, LITE)
    assert made is not None
    assert made.sql == statement


@pytest.mark.parametrize("question", ["Which months saw a drop in sales?", "add up the sales", "When was it deleted?"])
def test_reading_is_no_writing(question: str) -> None:
    assert asks_to_write(question) is None
    assert draft_write(question, LITE) is None


def test_nothing_can_be_changed_in_an_empty_schema() -> None:
    assert draft_write("delete everything", Schema()) is None


@pytest.mark.parametrize(
    ("question", "statement"),
    [
        ("Run this: select 1", "select 1"),
        ("execute `DROP TABLE x` now", "DROP TABLE x"),
        ("SELECT a FROM b; DELETE FROM b", "SELECT a FROM b; DELETE FROM b"),
        ("Please UPDATE x SET y = 1", "UPDATE x SET y = 1"),
        ("select the best products", None),
    ],
)
def test_sql_in_the_question_is_taken_as_it_is(question: str, statement: str | None) -> None:
    assert own_statement(question) == statement


def test_names_and_words_meet_in_the_singular() -> None:
    assert name_parts("OrderItems") == name_parts("order_items") == ("order", "item")
    assert [singular(word) for word in ("boxes", "categories", "status", "glass", "sales")] == [
        "box",
        "category",
        "status",
        "glass",
        "sale",
    ]


WORDS = [
    *[
        "which",
        "top",
        "total",
        "average",
        "how",
        "many",
        "by",
        "per",
        "the",
        "of",
        "in",
        "over",
        "5",
        "2024",
        "sold",
        "best",
        "month",
        "most",
        "delete",
        "France",
    ],
    "?",
]
NAMES = [
    "customers",
    "invoices",
    "products",
    "kind",
    "price",
    "stock",
    "status",
    "lines",
    "revenue",
    "country",
    "notes",
]


@given(st.lists(st.sampled_from(WORDS + NAMES), max_size=12).map(" ".join))
def test_no_question_breaks_it(question: str) -> None:
    for schema in (LITE, POSTGRES):
        draft(question, schema)
        draft_simpler(question, schema)
        draft_write(question, schema)


@given(st.text(max_size=120), st.text(max_size=120))
def test_no_question_or_schema_breaks_it(question: str, schema: str) -> None:
    draft(question, parse_schema(f"CREATE TABLE {schema} (id INTEGER, {schema});"))
