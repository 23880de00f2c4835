"""What models write is made regular where it enters: users and the next agents see none of it."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat, Swarm
from pydantic import BaseModel

from aiostream_server.config.model import Config, ModelInfoConfig, OpenAIModelConfig, TeamConfig
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import Call, Raw, Reply, ScriptedAnswer, ScriptedProvider, Think
from tests.kit.serving import ServedAnswer, Server, ask, chat_body, serving


class Trip(BaseModel):
    city: str
    days: int


def planner(context: TeamContext) -> ChatAgent:
    return AssistantAgent("Planner", context.model(), output_content_type=Trip)


def helper(context: TeamContext) -> ChatAgent:
    def lookup(word: str) -> str:
        """Look a word up."""
        return f"{word}: found"

    def now() -> str:
        """Tell the time."""
        return "noon"

    return AssistantAgent("Helper", context.model(), tools=[lookup, now], reflect_on_tool_use=True)


def pair(context: TeamContext) -> Team:
    agents = [AssistantAgent(name, context.model()) for name in ("First", "Second")]
    return RoundRobinGroupChat(list(agents), max_turns=2)


def swarm(context: TeamContext) -> Team:
    alice = AssistantAgent("alice", context.model(), system_message="You are alice.", handoffs=["bob"])
    bob = AssistantAgent("bob", context.model(), system_message="You are bob.")
    return Swarm([alice, bob], termination_condition=TextMentionTermination("TERMINATE"))


@asynccontextmanager
async def served(tmp_path: Path, *replies: Reply, **model: Any) -> AsyncIterator[tuple[ScriptedProvider, Server]]:
    async with ScriptedProvider() as provider:
        provider.script(*replies)
        info = ModelInfoConfig(structured_output=True)
        table = OpenAIModelConfig(provider="openai", model="m", base_url=provider.base_url, model_info=info, **model)
        teams = [TeamConfig(id=name, factory=f"{__name__}:{name}") for name in ("planner", "helper", "pair", "swarm")]
        async with serving(Config(models={"default": table}, teams=tuple(teams)), tmp_path) as server:
            yield provider, server


async def asked(tmp_path: Path, model: str, *replies: Reply, **settings: Any) -> tuple[ServedAnswer, ScriptedProvider]:
    async with served(tmp_path, *replies, **settings) as (provider, server):
        return await ask(server.url, "hello", model=model), provider


async def test_thought_of_white_space_opens_no_block(tmp_path: Path) -> None:
    for said in (["<think>\n\n</think>\n\n", "Hello."], [Think(["\n", "\n"]), "\n\n", "Hello."]):
        answer, _ = await asked(tmp_path, "helper", ScriptedAnswer(*said))
        assert answer.text.strip() == "✅ **Helper**\n\nHello."


async def test_white_space_beside_a_call_opens_no_block(tmp_path: Path) -> None:
    answer, _ = await asked(
        tmp_path, "helper", ScriptedAnswer("\n\n", Call("now")), ScriptedAnswer(Think(["\nHm.\n"]), "Noon.")
    )
    assert answer.text.startswith("<details>\n<summary>⚡ now")
    assert answer.text.count("Helper") == 2
    assert "🤔 **Helper**\n\nHm.\n\n✅ **Helper**\n\nNoon." in answer.text


async def test_text_before_a_lone_closing_tag_was_reasoning(tmp_path: Path) -> None:
    """It was shown when the tag came. From the next answer on the model is known to begin in a thought."""
    said = ScriptedAnswer("Okay, the user greets me.", "\n</th", "ink>\n\n", "Hello ", "there.")
    async with served(tmp_path, *[said] * 6) as (provider, server):
        first = await ask(server.url, "hello", model="pair")
        assert "think>" not in first.text
        assert "greets me.\n\n\nHello there." in first.text
        assert first.text.count("🤔 **Second**\n\nOkay, the user greets me.\n") == 1
        passed_on = json.dumps(provider.exchanges[1].body["messages"])
        assert "Hello there." in passed_on
        assert "greets me" not in passed_on
        again = await ask(server.url, "hello", model="pair")
        assert again.text.count("🤔") == 2
        body = chat_body("hello", model="pair") | {"stream": False}
        headers = {"X-Presentation": "answer"}
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
        ):
            whole = await response.json()
        assert whole["choices"][0]["message"]["content"].strip() == "Hello there."


async def test_configured_model_begins_in_a_thought(tmp_path: Path) -> None:
    said = ScriptedAnswer("Okay.", "\n</think>", "\n\nHello.")
    answer, _ = await asked(tmp_path, "helper", said, opens_thinking=True)
    assert answer.text.strip() == "🤔 **Helper**\n\nOkay.\n\n✅ **Helper**\n\nHello."


async def test_answer_without_the_expected_thought_is_the_answer(tmp_path: Path) -> None:
    """A model that begins in a thought only sometimes: its words are not lost."""
    learned = ScriptedAnswer("Okay.</think>Hello.")
    async with served(tmp_path, learned, ScriptedAnswer("Just ", "this."), ScriptedAnswer("And that.")) as (_, server):
        await ask(server.url, "hello", model="helper")
        assert (await ask(server.url, "hello", model="helper")).text.endswith("✅ **Helper**\n\nJust this.")
        assert (await ask(server.url, "hello", model="helper")).text.strip() == "✅ **Helper**\n\nAnd that."


@pytest.mark.parametrize("arguments", ["null", "[]", '""', "5", ""])
async def test_handoff_without_an_object_is_a_handoff(tmp_path: Path, arguments: str) -> None:
    call = Call("transfer_to_bob", arguments, pieces=1)
    answer, _ = await asked(tmp_path, "swarm", ScriptedAnswer(call), ScriptedAnswer("bob is here. TERMINATE"))
    assert "bob is here." in answer.text
    assert answer.errors == []


@pytest.mark.parametrize("arguments", ["5", "[1, 2]", '"x"', "true", '{"wo'])
async def test_model_sees_that_its_arguments_are_no_object(tmp_path: Path, arguments: str) -> None:
    call = Call("lookup", arguments, pieces=1)
    answer, provider = await asked(tmp_path, "helper", ScriptedAnswer(call), ScriptedAnswer("Sorry."))
    assert answer.errors == []
    (result,) = [message for message in provider.exchanges[1].body["messages"] if message["role"] == "tool"]
    assert "found" not in result["content"]
    assert any(word in result["content"].lower() for word in ("error", "valid"))


@pytest.mark.parametrize("name", ["functions.lookup<|channel|>commentary", "Lookup", "to=functions.lookup", "lookup:0"])
async def test_marks_and_case_of_a_tools_name(tmp_path: Path, name: str) -> None:
    call = Call(name, {"word": "rain"})
    answer, provider = await asked(tmp_path, "helper", ScriptedAnswer(call), ScriptedAnswer("Done."))
    assert "⚡ lookup" in answer.text
    assert "rain: found" in answer.text
    sent = [message for message in provider.exchanges[1].body["messages"] if message.get("tool_calls")]
    assert sent[0]["tool_calls"][0]["function"]["name"] == "lookup"


@pytest.mark.parametrize(
    "said",
    [
        ['```json\n{"city": "Rome", ', '"days": 3}\n', "```"],
        ['Here you are: {"city": "Rome", "days": 3}'],
        ['<think>{"no": 1}</think>{"city": "Rome", "days": 3}'],
        ['Let me see.</think>{"city": "Rome", "days": 3}'],
    ],
)
async def test_json_in_a_fence_or_behind_words_is_read(tmp_path: Path, said: list[str]) -> None:
    answer, _ = await asked(tmp_path, "planner", ScriptedAnswer(*said))
    assert answer.errors == []
    assert "Rome" in answer.text
    assert "3" in answer.text


async def test_json_that_does_not_fit_names_field_and_value(tmp_path: Path) -> None:
    answer, _ = await asked(tmp_path, "planner", ScriptedAnswer('```json\n{"city": "Rome", "days": "three"}\n```'))
    assert "Trip: days: Input should be a valid integer" in answer.errors[0]["message"]
    assert "got 'three'" in answer.errors[0]["message"]


async def test_parts_and_odd_fields_reach_the_user(tmp_path: Path) -> None:
    def event(delta: Mapping[str, Any], finish: str | None = None) -> bytes:
        return b"data: " + json.dumps({"choices": [{"delta": delta, "finish_reason": finish}]}).encode() + b"\n\n"

    parts = [{"type": "text", "text": "is 4"}, {"type": "reference", "reference_ids": [1]}]
    thinking = [{"type": "thinking", "thinking": [{"type": "text", "text": "Easy sum."}]}]
    stream = [
        event({"content": thinking}),
        event({"content": "The answer "}),
        event({"content": parts}),
        event({}, "stop"),
    ]
    answer, _ = await asked(tmp_path, "helper", Raw(stream))
    assert answer.text.strip() == "🤔 **Helper**\n\nEasy sum.\n\n✅ **Helper**\n\nThe answer is 4"
