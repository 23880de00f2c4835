"""A question that builds on earlier ones is read with them; one that stands by itself is read by itself."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from autogen_core.models import AssistantMessage, LLMMessage
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.models.demo.sql.draft import draft
from aiostream_server.models.demo.sql.follow_up import in_full
from aiostream_server.models.demo.sql.schema_text import Schema, parse_schema
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.shop import build_shop
from aiostream_server.tools.sql.verdict import Approved
from tests.models.demo import CALCULATOR, DATABASE, answer, called, returned, told, user

REGIONS = "What were the total sales by region?"
BEST = "Which region had the highest total sales?"


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Database]:
    build_shop(tmp_path / "shop.sqlite3")
    database = await Database.open("shop", DatabaseConfig(url=f"sqlite:///{tmp_path / 'shop.sqlite3'}"))
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("earlier", "question", "same_as"),
    [
        ([REGIONS], "And by month?", "total sales by month"),
        ([REGIONS], "by product", "total sales by product"),
        ([REGIONS], "What about customers?", "total sales by customer"),
        ([REGIONS], "Break it down by month and region", "total sales by month and region"),
        ([REGIONS, "And by month?"], "Only 2024", "total sales by month in 2024"),
        ([REGIONS, "Only 2024"], "And 2025?", "total sales by region in 2025"),
        ([REGIONS, "Only 2024"], "And by month?", "total sales by month in 2024"),
        ([REGIONS, "Only 2024"], "And how many orders?", "how many orders by region in 2024"),
        ([REGIONS, "Only 2024"], "And how many customers are there?", "how many customers are there"),
        ([BEST], "And the lowest?", "which region had the lowest total sales"),
        ([BEST], "And by month?", "total sales by month"),
        ([BEST], "What about products?", "Which product had the highest total sales"),
        (["Total revenue in the West region"], "And in East?", "total revenue in the East region"),
        (["Total revenue in the West region"], "and how many orders in 2024?", "how many orders in the West in 2024"),
        (["top 5 products by revenue"], "top 3", "top 3 products by revenue"),
        (["top 5 products by revenue"], "and customers?", "top 5 customers by revenue"),
        (["monthly revenue in 2024"], "and yearly?", "yearly revenue in 2024"),
        (["List the products"], "only tea", "list the products in the tea category"),
        ([REGIONS, "thanks", "yes"], "and by month?", "total sales by month"),
    ],
)
async def test_what_is_left_out_is_taken_over(
    earlier: Sequence[str], question: str, same_as: str, shop: Database
) -> None:
    """The rows are those of the question in full."""
    schema = parse_schema((await shop.schema()).describe())
    assert await rows(in_full(question, earlier, schema), schema, shop) == await rows(same_as, schema, shop)


async def rows(question: str, schema: Schema, shop: Database) -> Sequence[Sequence[object]]:
    made = draft(question, schema)
    assert made is not None
    verdict = shop.guard.check(made.sql)
    assert isinstance(verdict, Approved)
    return (await shop.query(verdict)).rows


@pytest.mark.parametrize(
    ("earlier", "question"),
    [
        ([REGIONS], "How many customers are there?"),
        ([REGIONS], "In 2024, what were the total sales by channel?"),
        ([REGIONS], "hello"),
        ([], "And by month?"),
        (["hello", "Only 2024"], "And by month?"),
        ([REGIONS], ""),
    ],
)
async def test_other_questions_stand_as_they_are(earlier: Sequence[str], question: str, shop: Database) -> None:
    schema = parse_schema((await shop.schema()).describe())
    assert in_full(question, earlier, schema) == question


@settings(max_examples=40)
@given(
    st.lists(st.text(max_size=40), max_size=4),
    st.text(alphabet=" andby2024monthreigoßİ?,'’", max_size=60),
)
def test_nothing_that_is_said_breaks_it(earlier: list[str], question: str) -> None:
    schema = parse_schema(
        "CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT);\n"
        "CREATE TABLE sales (id INTEGER PRIMARY KEY, region_id INTEGER REFERENCES regions (id), amount INTEGER,"
        " sold_on DATE);\n"
    )
    in_full(question, [REGIONS, *earlier, question], schema)
    in_full(f"and by month {question}", [f"{question} {REGIONS}"], schema)


async def test_the_schema_is_remembered_and_the_plan_says_what_it_builds_on(shop: Database) -> None:
    schema = (await shop.schema()).describe()
    remembered: list[LLMMessage] = [user(REGIONS), called("schema"), returned("schema", schema)]
    said = await answer(*remembered, user("And by month?"), tools=DATABASE)
    assert said.tool == "query"
    assert said.text.startswith("I go on from what you asked before. I will add up orders.total by month.")
    forgotten = await answer(
        user(REGIONS), called("schema"), returned("schema", "x", is_error=True), user("Hm"), tools=DATABASE
    )
    assert forgotten.tool == "schema"


async def test_a_plain_history_is_enough(shop: Database) -> None:
    """As a client sends it: the questions and the answers, no calls."""
    schema = (await shop.schema()).describe()
    history: list[LLMMessage] = [user(REGIONS), AssistantMessage(content="East.", source="assistant")]
    said = await answer(*history, user("And by month?"), called("schema"), returned("schema", schema), tools=DATABASE)
    assert "by month" in said.text


async def test_a_yes_is_not_the_question() -> None:
    asked = told("Run it?\n\nReply **yes** to run it.", by="ApprovalAgent")
    rows = told("| region | total_sales |\n| --- | ---: |\n| West | 12 |\n| East | 9 |")
    said = await answer(user("Which region had the lowest total sales?"), asked, user("yes"), rows)
    assert said.text.startswith("The **East** region had the lowest total sales: 9.")


@pytest.mark.parametrize(
    ("earlier", "question", "part"),
    [
        (["My name is Ada."], "What is my name?", "Your name is Ada."),
        (["Call me Grace Hopper, please", "thanks"], "who am I?", "Your name is Grace Hopper."),
        (["my name is 李明"], "what's my name", "Your name is 李明."),
        ([], "What's my name?", "You have not told me your name."),
        ([], "My name is Ada.", "Nice to meet you, Ada."),
        (["What is 1 + 1?"], "What did I ask before?", "You asked “What is 1 + 1?”."),
        ([], "what did i just ask", "This is the first thing"),
        (["My name is Ada."], "Is it warm?", "beyond my rules"),
    ],
)
async def test_the_assistant_remembers_what_it_was_told(earlier: list[str], question: str, part: str) -> None:
    assert part in (await answer(*map(user, earlier), user(question), tools=CALCULATOR)).text


@pytest.mark.parametrize("source", ["calls", "words"])
@pytest.mark.parametrize(
    ("question", "expression"),
    [
        ("And half of that?", "127.5 / 2"),
        ("add 10 to it", "127.5 + 10"),
        ("plus 10", "127.5 + 10"),
        ("And then times 2", "127.5 * 2"),
        ("What is 20% of the result?", "20% of 127.5"),
        ("What is 2 + 2?", "2 + 2"),
    ],
)
async def test_the_last_number_stands_for_that(question: str, expression: str, source: str) -> None:
    """As its calculator gave it, or as it said it."""
    said = AssistantMessage(content="15% of 850 is 127.5. (demo model)", source="assistant")
    history: list[LLMMessage] = [said] if source == "words" else [called("calculate"), returned("calculate", "127.5")]
    reply = await answer(user("What is 15% of 850?"), *history, user("thanks"), user(question), tools=CALCULATOR)
    assert reply.arguments == f'{{"expression": "{expression}"}}'


async def test_a_failed_calculation_is_no_number() -> None:
    failed: list[LLMMessage] = [
        called("calculate"),
        returned("calculate", "division by zero at character 3", is_error=True),
    ]
    assert not (await answer(user("1/0"), *failed, user("half of that"), tools=CALCULATOR)).tool
