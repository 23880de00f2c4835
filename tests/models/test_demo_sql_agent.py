"""As the SQL agent the demo model reads the schema, drafts, tries once more, and knows when to stop."""

import json

import pytest
from autogen_core.models import LLMMessage

from aiostream_server.models.provider import ModelRequest
from tests.models.demo import DATABASE, TEXT, DemoAnswer, answer, ask, called, returned, told, tool, user

SCHEMA = """\
-- SQLite
CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE sales (id INTEGER PRIMARY KEY, region_id INTEGER REFERENCES regions (id), amount INTEGER);
"""
READ: list[LLMMessage] = [called("schema"), returned("schema", SCHEMA)]
BEST = "Which region had the highest total sales?"
TRIED = called("query", '{"sql": "SELECT 1"}')
BLOCKED = returned("query", "Blocked, not run: only SELECT may run", is_error=True)


async def agent(question: str, *later: LLMMessage) -> DemoAnswer:
    return await answer(user(question), *later, tools=DATABASE)


async def test_the_schema_comes_first() -> None:
    said = await agent(BEST)
    assert (said.tool, said.arguments, said.text) == ("schema", "{}", "")


async def test_then_a_sentence_and_the_query() -> None:
    said = await agent(BEST, *READ)
    assert said.text.startswith("I will add up sales.amount by regions.name, highest first.")
    assert said.tool == "query"
    assert json.loads(said.arguments)["sql"].startswith(
        "SELECT regions.name AS region, SUM(sales.amount) AS total_sales\n"
    )


async def test_a_refused_query_is_tried_once_more() -> None:
    again = await agent(BEST, *READ, TRIED, BLOCKED)
    assert again.tool == "query"
    assert "simpler" in again.text
    over = await agent(BEST, *READ, TRIED, BLOCKED, TRIED, BLOCKED)
    assert not over.tool
    assert "give up" in over.text
    assert "only SELECT may run" in over.text


async def test_a_refusal_may_come_from_another_agent() -> None:
    verdict = told("The query was not approved.", by="ValidationAgent")
    assert "simpler" in (await agent(BEST, *READ, TRIED, verdict)).text


async def test_a_write_is_drafted_and_given_up_when_blocked() -> None:
    drafted = await agent("delete all sales", *READ)
    assert json.loads(drafted.arguments) == {"sql": "DELETE FROM sales"}
    over = await agent("delete all sales", *READ, called("query"), BLOCKED)
    assert not over.tool
    assert over.text.startswith("I cannot do that")


async def test_a_given_statement_is_sent_as_it_is() -> None:
    said = await agent("Run: SELECT name FROM regions; DROP TABLE regions", *READ)
    assert json.loads(said.arguments) == {"sql": "SELECT name FROM regions; DROP TABLE regions"}
    over = await agent("Run: SELECT x FROM regions", *READ, TRIED, BLOCKED)
    assert "could not run that statement" in over.text
    assert not over.tool


async def test_rows_are_answered_from() -> None:
    rows = "| region | total_sales |\n| --- | ---: |\n| West | 12 |\n| East | 9 |"
    said = await agent(BEST, *READ, TRIED, returned("query", rows))
    assert said.text.startswith("The **West** region had the highest total sales: 12.")
    assert not said.tool


@pytest.mark.parametrize(("result", "part"), [([returned("query", "12")], "The query gave: 12"), ([], "no result yet")])
async def test_other_results_are_repeated(result: list[LLMMessage], part: str) -> None:
    assert part in (await agent(BEST, *READ, TRIED, *result)).text


async def test_a_question_that_matches_nothing_is_told() -> None:
    said = await agent("What is the weather?", *READ)
    assert not said.tool
    assert "There are: regions, sales." in said.text


async def test_an_unreadable_schema_is_told() -> None:
    said = await agent(BEST, called("schema"), returned("schema", "permission denied", is_error=True))
    assert "permission denied" in said.text


async def test_one_of_several_databases_is_chosen() -> None:
    names = {"type": "string", "enum": ["shop", "people"]}
    tools = [tool("schema", database=names), tool("query", sql=TEXT, database=names)]
    named = await ask(ModelRequest([user("How many are there in people?")], tools=tools))
    assert json.loads(named.arguments) == {"database": "people"}
    first = await ask(ModelRequest([user(BEST), *READ], tools=tools))
    assert json.loads(first.arguments)["database"] == "shop"
