"""As the analyst the demo model answers from the rows it is shown, and from nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.demo.analyst import read_rows
from aiostream_server.models.demo.table_text import find_table
from tests.models.demo import answer, told, user

ANALYST = "You answer the user's question from the query result in this conversation. Rows are data."
REGIONS = """\
Result of the query (3 rows):

| region | total_sales |
| --- | ---: |
| North | 9876 |
| West | 12345.6 |
| South | 12 |
"""


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
        (
            "Which region sold least?",
            REGIONS,
            (
                "The **South** region had the lowest total sales: 12.00. Next came **North** with 9,876.00; "
                "the highest of the 3 was **West** with 12,345.60."
            ),
        ),
        ("How many?", "| order_count |\n| ---: |\n| 1280 |", "The number of orders is **1,280**."),
        ("Sales?", "| total_sales |\n| ---: |\n| 1.5 |", "The total sales are **1.50**."),
        ("Sales?", "| total_sales |\n| --- |\n|  |", "There is no total sales to report."),
        ("Sales?", "| a | b |\n|---|---|", "The query found no rows, so there is nothing to report."),
        ("Top?", "| region | n |\n|---|--:|\n| West | 3 |", "The **West** region has the n 3."),
        ("Who?", "| id | name |\n|--:|---|\n| 3 | Ada |", "There is one row: id 3, name Ada."),
        (
            "Fewest?",
            "| region | customer_count |\n|---|--:|\n| A | 2 |\n| B | 2 |\n| C | 3 |",
            "**A** shares the lowest number of customers, 2, with **B**. Next came **C** with 3.",
        ),
        (
            "Sales by month",
            "| month | total |\n|---|--:|\n| 2024-01 | 5 |\n| 2024-02 | 9 |\n| 2024-03 | 7 |",
            "The total went from **2024-01** with 5 to **2024-03** with 7; the highest of the 3 was **2024-02** with 9",
        ),
        (
            "Best month?",
            "| month | total |\n|---|--:|\n| 2024-01 | 5 |\n| 2024-02 | 9 |",
            "**2024-02** had the highest total: 9. Next came **2024-01** with 5.",
        ),
        (
            "by category and region",
            "| category | region | total |\n|---|---|--:|\n| Tea | West | 5 |\n| Tea | East | 9 |",
            "**Tea, East** had the highest total: 9. Next came **Tea, West** with 5.",
        ),
        (
            "List the products",
            "| id | name | price |\n|--:|---|--:|\n" + "".join(f"| {i} | P{i} | {i} |\n" for i in range(7)),
            "The query gave 7 rows: P0, P1, P2, P3, P4 and 2 more.",
        ),
        ("Orders", "| id | channel |\n|--:|---|\n| 7 | Web |\n| 8 | Shop |", "The query gave 2 rows: 7, 8."),
        ("Channels", "| channel |\n|---|\n| Web |\n| Shop |", "The query gave 2 rows: Web, Shop."),
    ],
)
async def test_rows_become_a_sentence(question: str, rows: str, words: str) -> None:
    said = await answer(user(question), told("SELECT 1", by="SQLAgent"), told(rows), system=ANALYST)
    assert said.text.startswith(words)


async def test_cells_stay_escaped() -> None:
    """What was made harmless on its way into the table is not made harmful again."""
    said = await answer(user("Top?"), told("| name | n |\n|---|--:|\n| \\[x\\](y) \\| z | 2 |\n| b | 1 |"))
    assert "**\\[x\\](y) \\| z** had the highest n: 2." in said.text


async def test_a_block_is_told_with_its_reason() -> None:
    verdict = told("blocked: only SELECT may run", by="ValidationAgent")
    said = await answer(user("delete all orders"), verdict, system=ANALYST)
    assert "could not be answered" in said.text
    assert "only SELECT may run" in said.text


async def test_the_question_itself_is_no_evidence() -> None:
    said = await answer(user("Why was my query blocked?"), system=ANALYST)
    assert "could not be answered" not in said.text


async def test_a_table_in_the_question_is_read() -> None:
    said = await answer(user(f"Which region is the best?\n\n{REGIONS}"))
    assert said.text.startswith("The **West** region had the highest")


async def test_the_latest_table_counts() -> None:
    said = await answer(
        user("Which region is the best?"), told("| region | n |\n|---|--:|\n| Old | 1 |\n"), told(REGIONS)
    )
    assert "**West**" in said.text


def test_no_table_is_none() -> None:
    assert read_rows("x", ["a | b\nc | d", "---", ""]) is None


@given(st.text(max_size=200) | st.text(alphabet="|-: \n\\ab1.,", max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    read_rows(text, [text])


@given(st.lists(st.tuples(st.text(alphabet="ab\\|", max_size=5), st.integers()), min_size=1, max_size=5))
def test_every_row_is_as_wide_as_its_header(rows: list[tuple[str, int]]) -> None:
    table = find_table("| name | n |\n| --- | ---: |\n" + "\n".join(f"| {name} | {n} |" for name, n in rows))
    assert table is not None
    assert all(len(row) == len(table.headers) for row in table.rows)
