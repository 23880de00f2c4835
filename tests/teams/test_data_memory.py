"""The data team remembers the earlier questions, tool calls and rows of a conversation, and saves little more."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
from autogen_agentchat.messages import MultiModalMessage, TextMessage, ToolCallExecutionEvent
from autogen_core import FunctionCall, Image
from autogen_core.model_context import UnboundedChatCompletionContext
from autogen_core.models import AssistantMessage, FunctionExecutionResultMessage, UserMessage

from aiostream_server.teams.data.drafter_memory import add_to_memory, open_query
from aiostream_server.teams.data.messages import QueryDraft, QueryOutcome, Verdict
from aiostream_server.teams.data.team import build
from aiostream_server.teams.general import build as build_general
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.teams.conversing import Said, Talk, data_team

SELECT = "SELECT name FROM regions ORDER BY name LIMIT 1"
BAD = "DELETE FROM regions"


def query(sql: str, call_id: str = "call_1") -> Call:
    return Call("query", {"sql": sql}, call_id)


def calls_are_answered(messages: Sequence[Mapping[str, Any]]) -> bool:
    """OpenAI's API requires the results of tool calls right behind them, and nowhere else."""
    open_calls: set[str] = set()
    for message in messages:
        if message["role"] == "tool":
            if message["tool_call_id"] not in open_calls:
                return False
            open_calls.discard(message["tool_call_id"])
            continue
        if open_calls:
            return False
        open_calls = {call["id"] for call in message.get("tool_calls") or ()}
    return not open_calls


def texts(said: Sequence[Said]) -> list[str]:
    return [type(message).__name__ for message in said]


async def test_the_next_question_finds_the_last_one_its_calls_and_its_rows(tmp_path: Path) -> None:
    """Also if the model reuses the ids of tool calls in each answer."""
    async with ScriptedProvider() as provider, data_team(tmp_path, base_url=provider.base_url) as context:
        talk = Talk(lambda: build(context))
        provider.script(
            ScriptedAnswer(Call("schema", {}, "call_1")), ScriptedAnswer(query(SELECT)), ScriptedAnswer("East.")
        )
        provider.script(ScriptedAnswer(query(SELECT.replace("LIMIT 1", "LIMIT 2"))), ScriptedAnswer("East and North."))
        await talk.ask("Which region comes first?")
        await talk.ask("And the second?")
        drafting, answering = (exchange.body["messages"] for exchange in provider.exchanges[3:])
    assert [message["role"] for message in drafting] == [
        "system", "user", "assistant", "tool", "assistant", "tool", "user", "user"
    ]  # fmt: skip
    assert calls_are_answered(drafting)
    assert "CREATE TABLE" in drafting[3]["content"]
    assert "| East |" in drafting[5]["content"]
    assert [message["content"] for message in drafting[6:]] == ["East.", "And the second?"]
    shown = [str(message["content"]) for message in answering]
    assert "Which region comes first?" in shown
    assert sum("| East |" in text for text in shown) == 2


async def test_attempts_are_counted_from_each_question(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        async with data_team(tmp_path, base_url=provider.base_url, settings={"max_attempts": 2}) as context:
            talk = Talk(lambda: build(context))
            for _ in range(3):
                provider.script(
                    ScriptedAnswer(query(BAD, "a")), ScriptedAnswer(query(BAD, "b")), ScriptedAnswer("It could not be.")
                )
                said = await talk.ask("Delete the regions")
                assert [one.attempt for one in said if isinstance(one, QueryDraft)] == [1, 2]
        assert all(calls_are_answered(exchange.body["messages"]) for exchange in provider.exchanges)


async def test_a_long_conversation_reaches_no_limit(tmp_path: Path) -> None:
    async with data_team(tmp_path, settings={"max_attempts": 1}) as context:
        talk = Talk(lambda: build(context))
        for _ in range(9):
            await talk.ask("How many customers are there?")
            assert talk.reason == "Text message received from 'AnalysisAgent'"


async def test_rows_are_kept_once_for_each_model(tmp_path: Path) -> None:
    """AutoGen alone would save them four times. The state grows only by the new messages."""
    async with data_team(tmp_path) as context:
        talk = Talk(lambda: build(context))
        sizes = []
        for question in ("Total sales by region", "And by month?", "Only 2024"):
            await talk.ask(question)
            sizes.append(len(talk.state or ""))
            assert (talk.state or "").count("| 2024-05 |") in (0, 2 * (len(sizes) - 1))
    assert sizes[0] < 7_000
    assert sizes[2] < 13_000
    state = json.loads(talk.state or "")["agent_states"]
    for agent in ("ValidationAgent", "Database"):
        assert state[agent]["message_buffer"] == []
    assert state["SelectorGroupChatManager"]["message_thread"] == []


async def test_pictures_are_kept(tmp_path: Path) -> None:
    async with data_team(tmp_path) as context:
        talk = Talk(lambda: build(context))
        picture = Image(PIL.Image.new("RGB", (2, 2)))
        await talk.ask(MultiModalMessage(content=["Total sales by region", picture], source="user"))
        said = await talk.ask("And by month?")
        assert texts(said)[-1] == "TextMessage"
        assert picture.to_base64() in (talk.state or "")


async def test_a_follow_up_is_understood_by_the_demo_model(tmp_path: Path) -> None:
    """It reads the schema once, and answers each question from its own rows."""
    async with data_team(tmp_path) as context:
        talk = Talk(lambda: build(context))
        assert "**East** region" in await talk.answer("What were the total sales by region?")
        said = await talk.ask("And by month?")
        assert "from **2024-01** with" in said[-1].to_text()
        assert sum(isinstance(one, ToolCallExecutionEvent) for one in said) == 1
        assert "to **2024-12** with" in await talk.answer("Only 2024")


async def test_the_general_team_remembers(tmp_path: Path) -> None:
    async with data_team(tmp_path) as context:
        talk = Talk(lambda: build_general(context))
        await talk.ask("My name is Ada.")
        assert (await talk.answer("What is my name?")).startswith("Your name is Ada.")
        await talk.ask("What is 15% of 850?")
        assert (await talk.answer("And half of that?")).startswith("Half of 127.5 is 63.75.")


async def test_an_open_call_is_answered_before_the_next_message() -> None:
    """For example after a run that ended between draft and verdict."""
    context = UnboundedChatCompletionContext()
    call = FunctionCall("c", "{}", "query")
    await context.add_message(AssistantMessage(content=[call], source="SQLAgent"))
    assert open_query(await context.get_messages()) == "c"
    await add_to_memory(context, [TextMessage(content="And?", source="user")])
    _, result, question = await context.get_messages()
    assert isinstance(result, FunctionExecutionResultMessage)
    assert (result.content[0].call_id, result.content[0].content) == ("c", "Not run: the work was ended before.")
    assert question.content == "And?"
    assert open_query(await context.get_messages()) is None


async def test_a_result_that_answers_no_call_is_left_out() -> None:
    """A model's API would refuse it. An approval is left out, too: the rows tell the same."""
    context = UnboundedChatCompletionContext()
    stray = QueryOutcome(content="rows", source="Database", call_id="gone", attempt=1, failed=False)
    draft = {"content": "s", "source": "x", "database": "d", "attempt": 1, "call_id": "c"}
    await add_to_memory(context, [stray, Verdict(**draft, approved=True, reason="r")])
    assert not await context.get_messages()
    assert open_query([UserMessage(content="?", source="user")]) is None
    assert open_query([AssistantMessage(content="Hm.", source="SQLAgent")]) is None
