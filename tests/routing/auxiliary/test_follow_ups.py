"""What a chat page offers as buttons under an answer."""

import json

import pytest

from aiostream_server.events import Action, ToolResult
from aiostream_server.present.blocks import tool_block
from aiostream_server.routing.auxiliary.follow_ups import follow_ups
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.routing.auxiliary.rules import answer_by_rules

EXAMPLES = ("Total sales by region", "What is 15% of 850?", "Who are you?", "And what else?")
TABLE = "| region | total |\n| :--- | ---: |\n| East | 1 |\n| West | 2 |"
SCHEMA = ToolResult("SchemaAgent", "schema", "CREATE TABLE orders (id INTEGER, order_date DATE)", "c0")


def prompt(*said: str) -> str:
    roles = ("USER", "ASSISTANT")
    history = "\n".join(f"{roles[index % 2]}: {text}" for index, text in enumerate(said))
    return f"### Task:\nSuggest\n### Chat History:\n<chat_history>\n{history}\n</chat_history>"


def offered(*said: str, examples: tuple[str, ...] = ()) -> list[str]:
    auxiliary = Auxiliary("follow_up_generation", prompt(*said))
    told: list[str] = json.loads(answer_by_rules(auxiliary, "Team", examples))["follow_ups"]
    return told


def answered(sql: str, rows: int = 2, more: str = "") -> str:
    blocks = [
        tool_block(SCHEMA),
        tool_block(Action("RunnerAgent", "query", json.dumps({"sql": sql}), "c1")),
        tool_block(ToolResult("RunnerAgent", "query", TABLE, "c1", summary=f"{rows} rows")),
    ]
    return "\n\n".join(["🛡 **ValidationAgent** approved", *blocks, f"✅ **AnalysisAgent**\n\nEast.{more}"])


@pytest.mark.parametrize(
    "asked",
    [
        "Reply **yes** to run it, **no** to stop, or say what to change.",
        "It is ready:\n\n```sql\nSELECT 1\n```\n\nReply **yes** or **no**.",
        "💬 **ApprovalAgent**\n\nReady.\n\nReply **yes**, **no** to stop.\n\n🙋 *ApprovalAgent waits for your answer*",
    ],
)
def test_replies_that_were_asked_for_are_the_buttons(asked: str) -> None:
    assert offered("Which region?", asked, examples=EXAMPLES) == ["yes", "no"]


@pytest.mark.parametrize(
    "said",
    [
        "Reply **soon**, please.",
        "Reply **yes** or **no**.\n\nThat is what it asked, and it ran.",
        "They will reply **yes** or **no**.",
    ],
)
def test_other_answers_ask_for_no_fixed_reply(said: str) -> None:
    assert offered("Which region?", said) == []


def test_a_reply_that_was_given_already_is_not_offered_again() -> None:
    assert offered("q", "Reply **yes** or **no**.", "yes", "It is done.") == []


def test_examples_that_were_not_asked_yet_follow_an_answer() -> None:
    assert offered("total sales by region?", "East.", examples=EXAMPLES) == list(EXAMPLES[1:])


def test_rows_by_a_group_are_asked_for_by_month_and_as_a_chart() -> None:
    grouped = "SELECT region, SUM(total) FROM orders GROUP BY region"
    assert offered("q", answered(grouped), examples=EXAMPLES)[:2] == ["And by month?", "Plot it"]
    assert follow_ups(prompt("q", answered(grouped)), (), can_draw=False) == ["And by month?"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (answered("SELECT strftime('%Y-%m', order_date) FROM orders GROUP BY 1"), ["Plot it"]),
        (answered("SELECT * FROM orders"), ["Plot it"]),
        ("East.\n\n[shop.csv](http://h/v1/files/file-a?expires=1&signature=b) (4 rows: region text)", ["Plot it"]),
        ("East.\n\n[shop.csv](http://h/v1/files/file-a?expires=1&signature=b) (1 row: region text)", []),
        (answered("SELECT region FROM orders GROUP BY region", rows=1), []),
        (answered("SELECT region FROM orders GROUP BY region", more=" ![chart](/v1/files/a)"), ["And by month?"]),
    ],
)
def test_only_what_makes_sense_is_offered(answer: str, expected: list[str]) -> None:
    assert offered("q", answer) == expected
