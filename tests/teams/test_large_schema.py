"""Teams over a large schema: the tables that suit the question, a tool for others, and queries of any table."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from autogen_core import FunctionCall
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, LLMMessage, UserMessage

from aiostream_server.config.model import Config, DatabaseConfig, SqlToolConfig, TeamConfig
from aiostream_server.events import ToolResult
from aiostream_server.teams.data.drafter_memory import asked_so_far
from aiostream_server.teams.tools.toolbox import open_tools
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.schema_choice.asked_so_far import current_questions
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, serving
from tests.teams.asking import ask_data_team


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> DatabaseConfig:
    """Regions and their sales among three hundred other tables."""
    path = tmp_path_factory.mktemp("large") / "large.db"
    others = "".join(
        f"CREATE TABLE device_{n} (id INTEGER PRIMARY KEY, serial TEXT, checked_on DATE, voltage REAL, firmware TEXT);"
        for n in range(300)
    )
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(
            """
            CREATE TABLE regions (id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE sales (id INTEGER PRIMARY KEY, region_id INTEGER REFERENCES regions (id), total REAL);
            INSERT INTO regions VALUES (1, 'East'), (2, 'West');
            INSERT INTO sales VALUES (1, 1, 10), (2, 2, 5);
            """
        )
        connection.executescript(others)
    return DatabaseConfig(url=f"sqlite:///{path}", schema_tokens=1000)


def tools_of(body: object) -> list[str]:
    assert isinstance(body, dict)
    return [tool["function"]["name"] for tool in body["tools"]]


async def test_the_data_team_reads_what_suits_the_question_and_asks_for_more(
    large: DatabaseConfig, tmp_path: Path
) -> None:
    """The question is "Which region sold most?". A table that is not shown can be read by the tool, and queried."""
    async with ScriptedProvider() as provider:
        provider.script(
            ScriptedAnswer(Call("schema", {}, "c0")),
            ScriptedAnswer(Call("tables", {"wanted": ["device_27?", "nowhere"]}, "c1")),
            ScriptedAnswer(Call("tables", {"wanted": []}, "c2")),
            ScriptedAnswer(Call("query", {"sql": "SELECT count(*) AS devices FROM device_299"}, "c3")),
            ScriptedAnswer("None."),
        )
        asked = await ask_data_team(provider, tmp_path, databases={"large": large})
    assert tools_of(asked.sent[0]) == ["schema", "query", "tables"]
    assert "more tables than fit here" in str(asked.sent[0]["messages"][0])
    schema, more, wrong, rows = (event for event in asked.told if isinstance(event, ToolResult))
    assert "CREATE TABLE regions (" in schema.content
    assert "CREATE TABLE sales (" in schema.content
    assert "Call tables to read any of the others" in str(asked.sent[1]["messages"])
    assert more.summary == "schema: 10 tables"
    assert "no table is called or matches 'nowhere'" in more.content
    assert wrong.is_error
    assert "needs {" in wrong.content
    assert "devices" in rows.content


async def test_a_small_schema_has_no_further_tool(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Call("schema", {}, "c0")), ScriptedAnswer("I cannot."), ScriptedAnswer("No."))
        asked = await ask_data_team(provider, tmp_path)
    assert tools_of(asked.sent[0]) == ["schema", "query"]
    assert "more tables" not in str(asked.sent[0]["messages"])


async def test_a_team_with_the_tools_of_a_database_gets_the_same(large: DatabaseConfig, tmp_path: Path) -> None:
    database = await Database.open("large", large)
    config = Config(tools={"it": SqlToolConfig(kind="sql")})
    try:
        async with open_tools(config, {"large": database}, tmp_path) as toolbox:
            scope = toolbox.scope()
            (workbench,) = scope.workbenches(["it"], [])
            assert [tool["name"] for tool in await workbench.list_tools()] == ["it_schema", "it_query", "it_tables"]
            asked = current_questions.set(["Which region sold most?", "and per year?"])
            text = (await workbench.call_tool("it_schema", {})).to_text()
            current_questions.reset(asked)
            assert "CREATE TABLE regions (" in text
            assert "Call it_tables to read" in text
            found = await workbench.call_tool("it_tables", {"wanted": ["sales", "voltage"]})
            assert "CREATE TABLE sales (" in found.to_text()
            assert "CREATE TABLE device_" in found.to_text()
            toolbox.release(scope)
    finally:
        await database.close()


async def test_the_question_of_a_request_decides_what_an_own_team_reads(large: DatabaseConfig, tmp_path: Path) -> None:
    """Through the server: the team's agent calls the tool without any argument."""

    def reply(body: Mapping[str, Any]) -> ScriptedAnswer:
        has_called = any(message["role"] == "tool" for message in body["messages"])
        return ScriptedAnswer("East.") if has_called else ScriptedAnswer(Call("it_schema", {}))

    team = TeamConfig(id="own", factory="tests.tools_for_teams.teams:helper", tools=("it",))
    async with ScriptedProvider() as provider:
        provider.script(reply)
        tools = {"it": SqlToolConfig(kind="sql")}
        config = config_for(provider.base_url, team, database={"large": large}, tools=tools)
        async with serving(config, tmp_path) as server:
            for question, table in (("Which region sold most?", "regions"), ("Where is device_123?", "device_123")):
                await ask(server.url, question, model="own")
                told = str(provider.exchanges[-1].body["messages"][-1]["content"])
                assert f"CREATE TABLE {table} (" in told, question
                assert ("CREATE TABLE sales (" in told) is (table == "regions")


def test_the_conversation_is_what_the_user_asked_and_the_queries_for_it() -> None:
    def call(arguments: str, name: str = "query") -> AssistantMessage:
        return AssistantMessage(content=[FunctionCall("c", arguments, name)], source="SQLAgent")

    messages: list[LLMMessage] = [
        UserMessage(content="Sales by region", source="user"),
        call("{}", "schema"),
        FunctionExecutionResultMessage(content=[]),
        call('{"sql": "SELECT 1", "database": "a"}'),
        call('{"sql": "SELECT 2", "database": "b"}'),
        call("not JSON"),
        call('{"sql": 3}'),
        UserMessage(content="a remark", source="Planner"),
        UserMessage(content=["and by month?"], source="user"),
    ]
    conversation = asked_so_far(messages, "a")
    assert [*conversation.questions] == ["Sales by region", "and by month?"]
    assert [*conversation.statements] == ["SELECT 1"]
