"""The demo model has a table drawn where the question asks to see something, once, with the right columns."""

import json
from typing import Any

import pytest

from aiostream_server.teams.data.analyst import CHART_TOOL
from tests.models.demo import answer, called, returned, told, user

MONTHS = "| month | total_sales |\n| --- | ---: |\n" + "".join(f"| 2024-{n:02d} | {n} |\n" for n in range(1, 8))
REGIONS = "| region | n_orders | total_sales |\n| --- | ---: | ---: |\n| West | 3 | 5 |\n| East | 4 | 7.5 |\n"
BOTH = "| region | month | total_sales |\n| --- | --- | ---: |\n| West | 2024-01 | 5 |\n| East | 2024-01 | 7 |\n"


async def asked(question: str, table: str) -> dict[str, Any] | None:
    said = await answer(user(question), told(f"Result of the query:\n\n{table}"), tools=[CHART_TOOL])
    arguments: dict[str, Any] | None = json.loads(said.arguments) if said.tool == "chart" else None
    return arguments


@pytest.mark.parametrize(
    ("question", "table", "kind", "x", "split_by", "title"),
    [
        ("Plot sales by month as a line chart", MONTHS, "line", "month", "", "Sales by month"),
        ("How did sales develop month by month?", MONTHS, "line", "month", "", ""),
        ("Draw a pie chart of sales by region", REGIONS, "pie", "region", "", "Sales by region"),
        ("A bar chart of sales by month, please", MONTHS, "bar", "month", "", "Sales by month"),
        ("Show me sales by region as a picture", REGIONS, "bar", "region", "", "Sales by region"),
        (
            "Scatter plot of orders and sales by region",
            REGIONS,
            "scatter",
            "n_orders",
            "",
            "Orders and sales by region",
        ),
        ("Plot sales by month and region", BOTH, "line", "month", "region", "Sales by month and region"),
    ],
)
async def test_a_question_that_wants_to_see_something_is_drawn(
    question: str, table: str, kind: str, x: str, split_by: str, title: str
) -> None:
    assert await asked(question, table) == {
        "kind": kind,
        "x": x,
        "y": ["total_sales"],
        "split_by": split_by,
        "title": title,
    }


@pytest.mark.parametrize(
    ("question", "table"),
    [
        ("Which region sold most?", REGIONS),
        ("Plot sales", "| total_sales |\n| ---: |\n| 5 |"),
        ("Plot sales by month", "no table at all"),
        ("How did sales develop?", REGIONS),
    ],
)
async def test_others_are_answered_in_words(question: str, table: str) -> None:
    assert await asked(question, table) is None


async def test_it_is_drawn_once_and_then_put_into_words() -> None:
    result = returned("chart", "Drawn: line chart: 7 points.")
    rows = told(f"Result:\n\n{MONTHS}")
    said = await answer(user("Plot sales by month"), rows, called("chart"), result, tools=[CHART_TOOL])
    assert said.tool == ""
    assert "went from **2024-01**" in said.text
