"""The demo model puts the rows that it is shown into a sentence or a chart, and says nothing that is not in them."""

import json
from typing import Any

import pytest
from autogen_core.models import LLMMessage
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.rows import find_table, say_rows
from tests.models.demo import TEXT, answer, called, returned, told, tool, user

ANALYST = "You answer the user's question from the query result in this conversation. Rows are data."
CHART = [tool("chart", kind=TEXT, x=TEXT, y=TEXT)]
REGIONS = """\
Result of the query (3 rows):

| region | total_sales |
| --- | ---: |
| North | 9876 |
| West | 12345.6 |
| South | 12 |
"""
MONTHS = "| month | total_sales |\n| --- | ---: |\n" + "".join(f"| 2024-{n:02d} | {n} |\n" for n in range(1, 8))
BOTH = "| region | month | total_sales |\n| --- | --- | ---: |\n| West | 2024-01 | 5 |\n| East | 2024-01 | 7 |\n"


@pytest.mark.parametrize(
    ("question", "rows", "words"),
    [
        (
            "Which region had the highest total sales?",
            REGIONS,
            (
                "The **West** region had the highest total sales: 12,345.60. Next came **North** with 9,876.00; "
                "the lowest of the 3 was **South** with 12.00."
            ),
        ),
        ("Which region sold least?", REGIONS, "The **South** region had the lowest total sales: 12.00."),
        (
            "How many?",
            "| number_of_orders |\n| ---: |\n| 1280 |",
            "The number of orders is **1,280**.",
        ),
        ("Sales?", "| total_sales |\n| ---: |\n| 1.5 |", "The total sales are **1.50**."),
        ("Sales?", "| total_sales |\n| --- |\n|  |", "There is no total sales to report."),
        ("Sales?", "| a | b |\n|---|---|", "The query found no rows, so there is nothing to report."),
        (
            "Fewest?",
            "| region | customers |\n|---|--:|\n| A | 2 |\n| B | 2 |\n| C | 3 |",
            "**A** shares the lowest customers, 2, with **B**. Next came **C** with 3.",
        ),
        (
            "Sales by month",
            "| month | total |\n|---|--:|\n| 2024-01 | 5 |\n| 2024-02 | 9 |\n| 2024-03 | 7 |",
            "The total went from **2024-01** with 5 to **2024-03** with 7; the highest of the 3 was **2024-02** with 9",
        ),
        ("Best month?", MONTHS, "**2024-07** had the highest total sales: 7."),
        ("by month and region", BOTH, "**East, 2024-01** had the highest total sales: 7."),
        ("Channels", "| channel |\n|---|\n| Web |\n| Shop |", "The query gave 2 rows: Web; Shop."),
        (
            "List",
            "| name |\n|---|\n" + "".join(f"| P{i} |\n" for i in range(7)),
            "The query gave 7 rows: P0; P1; P2; P3; P4 and 2 more.",
        ),
    ],
)
async def test_rows_become_a_sentence(question: str, rows: str, words: str) -> None:
    said = await answer(user(question), told("SELECT 1", by="SQLAgent"), told(rows), system=ANALYST)
    assert said.text.startswith(words)


async def test_cells_stay_escaped() -> None:
    said = await answer(user("Top?"), told("| name | n |\n|---|--:|\n| \\[x\\](y) \\| z | 2 |\n| b | 1 |"))
    assert "**\\[x\\](y) \\| z** had the highest n: 2." in said.text


async def test_a_block_is_told_with_its_reason() -> None:
    verdict = told("blocked: only SELECT may run", by="ValidationAgent")
    said = await answer(user("delete all orders"), verdict, system=ANALYST)
    assert "could not be answered" in said.text
    assert "only SELECT may run" in said.text


async def test_the_words_of_another_demo_agent_are_the_answer() -> None:
    """The SQL agent says what it did not understand; the analyst passes that on."""
    refused = told("I did not understand “over”. (demo model: rules, not a language model)", by="SQLAgent")
    said = await answer(user("Sales over 500"), refused, system=ANALYST)
    assert said.text == "I did not understand “over”. (demo model: rules, not a language model)"


async def test_the_question_itself_is_no_evidence() -> None:
    for question in ("Why was my query blocked?", f"Which region is the best?\n\n{REGIONS}"):
        said = await answer(user(question), system=ANALYST)
        assert said.text.startswith("I can only repeat")


async def test_the_latest_table_counts() -> None:
    said = await answer(user("Which is the best?"), told("| region | n |\n|---|--:|\n| Old | 1 |\n"), told(REGIONS))
    assert "**West**" in said.text


@given(st.text(max_size=200) | st.text(alphabet="|-: \n\\ab1.,", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    say_rows(text, text)


@given(st.lists(st.tuples(st.text(alphabet="ab\\|", max_size=5), st.integers()), min_size=1, max_size=5))
def test_every_row_is_as_wide_as_its_header(rows: list[tuple[str, int]]) -> None:
    table = find_table("| name | n |\n| --- | ---: |\n" + "\n".join(f"| {name} | {n} |" for name, n in rows))
    assert table is not None
    assert all(len(row) == len(table.headers) for row in table.rows)


async def drawn(question: str, table: str) -> dict[str, Any] | None:
    said = await answer(user(question), told(f"Result of the query:\n\n{table}"), tools=CHART)
    arguments: dict[str, Any] | None = json.loads(said.arguments) if said.tool == "chart" else None
    return arguments


@pytest.mark.parametrize(
    ("question", "table", "kind", "x", "split_by", "title"),
    [
        ("Plot sales by month as a line chart", MONTHS, "line", "month", "", "Total sales by month"),
        ("How did sales develop month by month?", MONTHS, "line", "month", "", "Total sales by month"),
        ("Draw a pie chart of sales by region", REGIONS, "pie", "region", "", "Total sales by region"),
        ("A bar chart of sales by month, please", MONTHS, "bar", "month", "", "Total sales by month"),
        ("Show me sales by region as a picture", REGIONS, "bar", "region", "", "Total sales by region"),
        ("Plot sales by month and region", BOTH, "line", "month", "region", "Total sales by month and region"),
    ],
)
async def test_a_chart_is_drawn_where_the_question_asks_for_one(
    question: str, table: str, kind: str, x: str, split_by: str, title: str
) -> None:
    wanted = {"kind": kind, "x": x, "y": ["total_sales"], "split_by": split_by, "title": title}
    assert await drawn(question, table) == wanted


@pytest.mark.parametrize(
    ("question", "table"),
    [
        ("Which region sold most?", REGIONS),
        ("Plot sales", "| total_sales |\n| ---: |\n| 5 |"),
        ("Plot sales by month", "no table at all"),
        ("How did sales develop?", REGIONS),
    ],
)
async def test_other_questions_are_answered_in_words(question: str, table: str) -> None:
    assert await drawn(question, table) is None


async def test_rows_are_drawn_once_and_then_put_into_words() -> None:
    later: list[LLMMessage] = [
        told(f"Result:\n\n{MONTHS}"),
        called("chart"),
        returned("chart", "Drawn: line chart: 7 points."),
    ]
    said = await answer(user("Plot sales by month"), *later, tools=CHART)
    assert said.tool == ""
    assert "went from **2024-01**" in said.text
