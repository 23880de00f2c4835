"""As the SQL agent the demo model reads the schema, sends one query and is honest about every other database."""

import json

import pytest
from autogen_core.models import LLMMessage

from aiostream_server.models.provider import ModelRequest
from aiostream_server.text import RETRIEVAL
from tests.models.demo import DATABASE, TEXT, DemoAnswer, answer, ask, called, returned, told, tool, user

SHOP = """\
-- SQLite
CREATE TABLE categories (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL -- e.g. 'Coffee', 'Tea'
);
CREATE TABLE customers (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  segment TEXT NOT NULL,
  region_id INTEGER NOT NULL REFERENCES regions (id),
  joined_on DATE NOT NULL
);
CREATE TABLE order_items (
  id INTEGER PRIMARY KEY,
  order_id INTEGER NOT NULL REFERENCES orders (id),
  product_id INTEGER NOT NULL REFERENCES products (id),
  quantity INTEGER NOT NULL,
  unit_price NUMERIC(10, 2) NOT NULL,
  amount NUMERIC(10, 2) NOT NULL
);
CREATE TABLE orders (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER NOT NULL REFERENCES customers (id),
  ordered_on DATE NOT NULL,
  channel TEXT NOT NULL,
  total NUMERIC(10, 2) NOT NULL
);
CREATE TABLE products (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL,
  category_id INTEGER NOT NULL REFERENCES categories (id),
  price NUMERIC(10, 2) NOT NULL
);
CREATE TABLE regions (
  id INTEGER PRIMARY KEY,
  name TEXT NOT NULL
);
"""
FOREIGN = """\
-- PostgreSQL
CREATE TABLE invoices (
  id INTEGER PRIMARY KEY,
  customer_id INTEGER,
  issued_on DATE,
  total NUMERIC
);
CREATE TABLE "Order Items" (
  id INTEGER,
  amount NUMERIC,
  PRIMARY KEY (id, amount)
);
CREATE VIEW regions (
  name TEXT
);
"""
BEST = "Which region had the highest total sales?"
TRIED = called("query", '{"sql": "SELECT 1"}')
BLOCKED = returned("query", "Blocked, not run: only SELECT may run", is_error=True)


async def agent(question: str, *later: LLMMessage, schema: str = SHOP) -> DemoAnswer:
    return await answer(user(question), called("schema"), returned("schema", schema), *later, tools=DATABASE)


async def test_the_schema_comes_first() -> None:
    said = await answer(user(BEST), tools=DATABASE)
    assert (said.tool, said.arguments, said.text) == ("schema", "{}", "")


async def test_then_a_sentence_and_the_query() -> None:
    said = await agent(BEST)
    assert said.text.startswith("I will look up sales by region, highest first.")
    assert said.tool == "query"
    assert json.loads(said.arguments)["sql"].startswith(
        "SELECT regions.name AS region, ROUND(SUM(orders.total), 2) AS total_sales\n"
    )


async def test_text_of_files_before_the_question_is_none_of_it() -> None:
    """Open WebUI puts its template and what it found in the files before the words that a user typed."""
    added = f"{RETRIEVAL}.\n\n<context>\n<source>umbrellas in Oslo</source>\n</context>\n\n"
    plain, found = await agent(BEST), await agent(f"{added}{BEST}")
    assert (found.tool, found.arguments, found.text) == (plain.tool, plain.arguments, plain.text)


async def test_the_schema_is_remembered_and_the_plan_says_what_a_fragment_continues() -> None:
    remembered: list[LLMMessage] = [user("Total sales by region"), called("schema"), returned("schema", SHOP)]
    said = await answer(*remembered, user("And by month?"), tools=DATABASE)
    assert said.tool == "query"
    assert said.text.startswith("I will look up sales by month.")
    failed: list[LLMMessage] = [user("x"), called("schema"), returned("schema", "x", is_error=True), user("Hm")]
    assert (await answer(*failed, tools=DATABASE)).tool == "schema"


@pytest.mark.parametrize("question", ["What is the weather?", "Total sales by region over 500", "hello"])
async def test_an_unclear_question_gets_the_honest_answer(question: str) -> None:
    said = await agent(question)
    assert not said.tool
    assert said.text.startswith("I did not understand “")
    assert "[models.default]" in said.text


@pytest.mark.parametrize(
    "question",
    [
        *(BEST, "Total amount by month in 2025", "What is the average total?", "highest total", "Sum of amount"),
        *("How many invoices in 2025?", "How many regions had sales?", "How many rows?", "profit by region", "hello"),
    ],
)
async def test_another_database_gets_no_figure_but_row_counts(question: str) -> None:
    said = await agent(question, schema=FOREIGN)
    assert not said.tool
    assert said.text.startswith("This is not the demo shop.")
    assert 'The tables are: invoices, "Order Items", regions.' in said.text
    assert "[models.default]" in said.text


@pytest.mark.parametrize(
    ("question", "table"),
    [
        ("How many invoices are there?", "invoices"),
        ("How many rows are in invoices?", "invoices"),
        ("How many rows does the table order items have?", '"Order Items"'),
        ("Count the regions", "regions"),
    ],
)
async def test_rows_of_any_database_are_counted(question: str, table: str) -> None:
    said = await agent(question, schema=FOREIGN)
    assert json.loads(said.arguments)["sql"] == f"SELECT COUNT(*) AS row_count FROM {table}"  # noqa: S608
    counted = await agent(question, TRIED, returned("query", "| row_count |\n| ---: |\n| 1280 |"), schema=FOREIGN)
    assert counted.text.startswith("The row count is **1,280**.")


@pytest.mark.parametrize("question", ["Which tables are there?", "list the tables", "Show me all tables"])
async def test_tables_of_any_database_are_listed(question: str) -> None:
    assert (await agent(question, schema=FOREIGN)).text.startswith('The tables are: invoices, "Order Items", regions.')


async def test_a_lookalike_of_the_shop_is_another_database() -> None:
    """A column more could mean anything, such as a currency."""
    said = await agent(BEST, schema=SHOP.replace("total NUMERIC", "currency TEXT,\n  total NUMERIC"))
    assert said.text.startswith("This is not the demo shop.")


@pytest.mark.parametrize(
    ("question", "sql"),
    [
        ("delete all orders", "DELETE FROM orders"),
        ("Delete all orders of 2024", "DELETE FROM orders WHERE ordered_on LIKE '2024%'"),
        ("Delete the regions", "DELETE FROM regions"),
        ("Please drop the table orders", "DROP TABLE orders"),
        ("Run: SELECT name FROM regions; DROP TABLE regions", "SELECT name FROM regions; DROP TABLE regions"),
    ],
)
async def test_a_write_is_drafted_so_that_the_guard_blocks_it(question: str, sql: str) -> None:
    assert json.loads((await agent(question)).arguments) == {"sql": sql}
    over = await agent(question, TRIED, BLOCKED)
    assert not over.tool
    assert "only SELECT may run" in over.text


async def test_a_write_that_is_not_understood_is_not_drafted() -> None:
    for question in ("delete all orders over 500", "set the price of all products to 0", "delete regions of 2024"):
        assert (await agent(question)).text.startswith("I did not understand")


async def test_a_refusal_may_come_from_another_agent() -> None:
    verdict = told("The query was not approved.", by="ValidationAgent")
    assert "was not approved" in (await agent(BEST, TRIED, verdict)).text


async def test_rows_are_put_into_words() -> None:
    rows = "| region | total_sales |\n| --- | ---: |\n| West | 12 |\n| East | 9 |"
    said = await agent(BEST, TRIED, returned("query", rows))
    assert said.text.startswith("The **West** region had the highest total sales: 12.")
    assert "The query gave: 12" in (await agent(BEST, TRIED, returned("query", "12"))).text


async def test_an_unreadable_schema_is_told() -> None:
    said = await answer(
        user(BEST), called("schema"), returned("schema", "permission denied", is_error=True), tools=DATABASE
    )
    assert "permission denied" in said.text


async def test_one_of_several_databases_is_chosen() -> None:
    names = {"type": "string", "enum": ["shop", "people"]}
    tools = [tool("schema", database=names), tool("query", sql=TEXT, database=names)]
    named = await ask(ModelRequest([user("How many are there in people?")], tools=tools))
    assert json.loads(named.arguments) == {"database": "people"}
    first = await ask(ModelRequest([user(BEST), called("schema"), returned("schema", SHOP)], tools=tools))
    assert json.loads(first.arguments)["database"] == "shop"


async def test_a_yes_is_not_the_question() -> None:
    asked = told("Run it?\n\nReply **yes** to run it.", by="ApprovalAgent")
    rows = told("| region | total_sales |\n| --- | ---: |\n| West | 12 |\n| East | 9 |")
    said = await answer(user("Which region had the lowest total sales?"), asked, user("yes"), rows)
    assert said.text.startswith("The **East** region had the lowest total sales: 9.")
