"""Charts in answers, over real sockets: drawn from the rows of the approved query, above the text, by signed links."""

import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import PIL.Image
import pytest
from autogen_agentchat.agents import AssistantAgent
from pydantic import TypeAdapter

from aiostream_server.config.model import TeamConfig
from aiostream_server.events import Action, Answer, Thinking, Token, ToolResult
from aiostream_server.events.breaks import BREAK
from aiostream_server.teams.charts import chart_tool, chart_tool_over
from aiostream_server.teams.context import TeamContext
from aiostream_server.tools.sql.rows import Rows
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ask, config_for, serving
from tests.teams.asking import Stage

BY_REGION = (
    "SELECT r.name AS region, SUM(o.total) AS total_sales FROM orders o JOIN customers c ON c.id = o.customer_id "
    "JOIN regions r ON r.id = c.region_id GROUP BY r.name ORDER BY 2 DESC"
)
CHART = {"kind": "bar", "x": "region", "y": ["total_sales"], "title": "Sales by region"}
RESULT = re.compile(rf"\n\n{BREAK}?\[shop\.csv\]\(http://[^)]*\) \([^\n]*\)$")
PICTURE = re.compile(r"!\[([^\]]*)\]\((http://[^)]*)\)")
WEB_UI = {"X-OpenWebUI-User-Id": "u1", "X-OpenWebUI-Chat-Id": "chat-1"}


def plotter(_: TeamContext) -> AssistantAgent:
    """A user's agent with the tool to which the model passes the rows."""
    return AssistantAgent("Plotter", _.model(), tools=[chart_tool()], reflect_on_tool_use=True)


def over(_: TeamContext) -> AssistantAgent:
    """A user's agent with the tool over existing rows; it answers with the tool's result."""
    rows = Rows(("region", "total_sales"), (("East", 1), ("West", 2)))
    return AssistantAgent("Plotter", _.model(), tools=[chart_tool_over(lambda: rows, "svg")])


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One directory for all tests, so that the fonts are listed once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
async def stage(state: Path) -> AsyncIterator[Stage]:
    async with staged(state) as opened:
        yield opened


@asynccontextmanager
async def staged(state: Path, **settings: Any) -> AsyncIterator[Stage]:
    teams = (
        TeamConfig(
            id="data",
            factory="aiostream_server.teams.data:build",
            roles={"SQLAgent": "thinking", "ValidationAgent": "validation"},
            answer_from=("AnalysisAgent",),
            settings=settings,
        ),
        TeamConfig(id="plotter", factory="tests.teams.test_data_charts:plotter"),
        TeamConfig(id="over", factory="tests.teams.test_data_charts:over"),
    )
    async with ScriptedProvider() as provider, serving(config_for(provider.base_url, *teams), state) as server:
        yield Stage(server, provider, "Sales by region, as a chart")


async def picture_at(url: str) -> bytes:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        return await response.read()


def drafted(sql: str = BY_REGION) -> ScriptedAnswer:
    return ScriptedAnswer(Call("query", {"sql": sql}, "call_1"))


def charted(call_id: str = "call_2", **changed: Any) -> ScriptedAnswer:
    return ScriptedAnswer(Call("chart", CHART | changed, call_id))


async def test_a_picture_stands_above_the_words_and_the_model_never_sees_its_link(stage: Stage) -> None:
    text = await stage.ask(drafted(), charted(), ScriptedAnswer("East ", "sold most."), headers=WEB_UI)
    ((title, url),) = PICTURE.findall(text)
    assert title == "Sales by region"
    assert RESULT.sub("", text).endswith(f"✅ **AnalysisAgent**\n\n![{title}]({url})\n\nEast sold most.")
    with PIL.Image.open(io.BytesIO(await picture_at(url))) as image:
        assert image.size == (1280, 720)
    told = stage.told()
    assert [(event.agent, event.tool) for event in told if isinstance(event, Action)][-1] == ("AnalysisAgent", "chart")
    result = next(event for event in told if isinstance(event, ToolResult) and event.tool == "chart")
    assert (result.summary, result.is_error) == ("bar chart: 4 bars", False)
    shown = next(event for event in told if isinstance(event, Token) and url in event.content)
    assert (shown.kind, told.index(result) < told.index(shown)) == ("final", True)
    answer = next(event for event in told if isinstance(event, Answer)).content
    assert RESULT.sub("", answer) == f"![{title}]({url})\n\nEast sold most."
    assert all("/v1/files" not in str(sent.body) for sent in stage.provider.exchanges)


async def test_only_the_answer_has_the_picture_too(stage: Stage) -> None:
    text = await stage.ask(drafted(), charted(), ScriptedAnswer("East."), headers={"X-Presentation": "answer"})
    assert PICTURE.sub("PICTURE", RESULT.sub("", text)) == "PICTURE\n\nEast."


async def test_a_model_is_told_why_a_chart_was_not_drawn_and_can_try_again(stage: Stage) -> None:
    text = await stage.ask(drafted(), charted(x="regoin"), charted("call_3"), ScriptedAnswer("East."))
    results = [event for event in stage.told() if isinstance(event, ToolResult) and event.tool == "chart"]
    assert [result.is_error for result in results] == [True, False]
    assert results[0].content == "Not drawn: there is no column 'regoin'; there are region, total_sales"
    assert len(PICTURE.findall(text)) == 1


@pytest.mark.parametrize("arguments", ["{", "[]", '{"kind": "bar", "rows": [[1]], "x": "region", "y": "total_sales"}'])
async def test_wrong_arguments_reach_no_other_rows_and_do_not_fail_the_run(stage: Stage, arguments: str) -> None:
    text = await stage.ask(
        drafted(), ScriptedAnswer(Call("chart", arguments, "call_2")), ScriptedAnswer("In words, then.")
    )
    assert not PICTURE.search(text)
    assert RESULT.sub("", text).endswith("In words, then.")


async def test_the_number_of_charts_is_limited(stage: Stage) -> None:
    many = ScriptedAnswer(*(Call("chart", CHART, f"chart_{n}") for n in range(4)))
    text = await stage.ask(drafted(), many, ScriptedAnswer("East."))
    assert len(PICTURE.findall(text)) == 3
    assert stage.tools_offered()[-1] == [], "an agent that has drawn enough is not offered more"
    results = [event for event in stage.told() if isinstance(event, ToolResult) and event.tool == "chart"]
    assert "no more than 3 charts" in results[0].content + results[-1].content


async def test_where_there_is_nothing_to_draw_no_tool_is_offered(state: Path) -> None:
    async with staged(state) as stage:
        await stage.ask(drafted("SELECT count(*) AS n FROM orders"), ScriptedAnswer("Many."))
        assert stage.tools_offered() == [["schema", "query"], []]
    async with staged(state, charts=False) as stage:
        await stage.ask(drafted(), ScriptedAnswer("East."))
        assert stage.tools_offered() == [["schema", "query"], []]


async def test_without_matplotlib_no_tool_is_offered(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiostream_server.teams.data.team.can_draw", lambda: False)
    await stage.ask(drafted(), ScriptedAnswer("East."))
    assert stage.tools_offered()[-1] == []


async def test_a_conversation_goes_on_from_an_answer_with_a_picture(stage: Stage) -> None:
    """Open WebUI sends the shown answer back with its link. The server recognises it and resumes the state."""
    text = await stage.ask(drafted(), charted(), ScriptedAnswer("East."), headers=WEB_UI)
    history = [
        {"role": "user", "content": "Sales by region, as a chart"},
        {"role": "assistant", "content": text},
        {"role": "user", "content": "And the smallest?"},
    ]
    stage.provider.script(drafted(), ScriptedAnswer("South."))
    answer = await ask(stage.server.url, history, model="data", headers=WEB_UI)
    assert "South." in answer.text
    sent = stage.provider.exchanges[3].body["messages"]
    assert [message["role"] for message in sent].count("tool") == 1, "its own call and rows, not the words of a page"
    assert "/v1/files" not in str(sent)


async def test_a_picture_that_a_model_does_not_repeat_is_added(stage: Stage) -> None:
    rows = {**CHART, "columns": ["region", "total_sales"], "rows": [["East", 5], ["West", 3.5], ["North", None]]}
    text = await stage.ask(
        ScriptedAnswer(Call("chart", rows, "c1")), ScriptedAnswer("Done."), model="plotter", headers=WEB_UI
    )
    ((_, url),) = PICTURE.findall(text.rpartition("Done.")[2])
    assert (await picture_at(url)).startswith(b"\x89PNG")
    assert next(event for event in stage.told() if isinstance(event, Answer)).content.endswith(f"({url})")
    assert any(url in str(sent.body) for sent in stage.provider.exchanges), "the model was given its link"


async def test_a_tools_own_answer_holds_its_picture_once(stage: Stage) -> None:
    text = await stage.ask(
        ScriptedAnswer(Call("chart", CHART, "c1")), model="over", headers={"X-Presentation": "answer"}
    )
    ((_, url),) = PICTURE.findall(text)
    assert (await picture_at(url)).startswith(b"<?xml")
    assert not [event for event in stage.told() if isinstance(event, Thinking)]


def test_the_tool_tells_a_model_what_it_takes() -> None:
    schema: Any = TypeAdapter(dict[str, Any]).validate_python(dict(chart_tool().schema))
    parameters = schema["parameters"]
    assert parameters["required"] == ["kind", "x", "y", "columns", "rows"]
    assert parameters["properties"]["kind"]["enum"] == ["bar", "line", "scatter", "pie"]


async def test_of_many_rows_the_first_are_shown_and_the_rest_is_counted(stage: Stage) -> None:
    """Models and charts get all rows."""
    text = await stage.ask(
        drafted("SELECT id, name FROM customers ORDER BY id"), ScriptedAnswer("Many."), headers=WEB_UI
    )
    told = [event for event in stage.told() if isinstance(event, ToolResult) and event.tool == "query"]
    (result,) = told
    table, _, ending = result.content.rpartition("\n\n")
    count = len(table.splitlines()) - 2
    assert result.summary.endswith(f", the first {count} shown")
    assert result.truncated
    assert count == 50
    assert f"📦 {result.summary}</summary>\n\n| id | name |" in text
    rows = int(result.summary.partition(" ")[0])
    assert str(stage.provider.exchanges[-1].body["messages"]).count("\\n| ") > rows > 50
    assert ending == f"… and {rows - 50} more rows"
