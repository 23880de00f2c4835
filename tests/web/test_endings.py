"""How an answer ended, and how a team ended, is told: to the user, to programs, to the next agent and to metrics."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_agentchat.conditions import FunctionCallTermination, MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from pydantic import BaseModel

from aiostream_server.config.model import Config, OpenAIModelConfig, TeamConfig
from aiostream_server.config.providers import ModelInfoConfig
from aiostream_server.events import Error, Event, Notice, RunFinished
from aiostream_server.intake.principal import Owner
from aiostream_server.teams.context import TeamContext
from tests.kit.runs import runs_in
from tests.kit.scripted_provider import Call, Raw, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, ask, sample_team, serving

APPROVE = "APPROVE"


def writer_and_critic(context: TeamContext) -> RoundRobinGroupChat:
    """Nobody answers: it ends at its limit, or when the critic approves."""
    agents = [AssistantAgent(name, context.model()) for name in ("Writer", "Critic")]
    ends = TextMentionTermination(APPROVE) | MaxMessageTermination(3)
    return RoundRobinGroupChat(list(agents), termination_condition=ends)


def writer_and_person(context: TeamContext) -> RoundRobinGroupChat:
    agents = [AssistantAgent("Writer", context.model()), UserProxyAgent("person")]
    return RoundRobinGroupChat(list(agents), termination_condition=TextMentionTermination(APPROVE))


def approver(context: TeamContext) -> RoundRobinGroupChat:
    """Its success is a tool call, without a word."""

    async def approve() -> str:
        """Approve."""
        return ""

    agents = [AssistantAgent(name, context.model(), tools=[approve]) for name in ("A", "B")]
    return RoundRobinGroupChat(list(agents), termination_condition=FunctionCallTermination("approve"))


class Verdict(BaseModel):
    good: bool


def structured(context: TeamContext) -> AssistantAgent:
    return AssistantAgent("Judge", context.model(), output_content_type=Verdict)


@asynccontextmanager
async def served(tmp_path: Path, team: str, **keys: Any) -> AsyncIterator[tuple[ScriptedProvider, Server]]:
    config = TeamConfig(id="team", factory=f"tests.web.test_endings:{team}", **keys)
    solo, pair = sample_team("solo"), sample_team("pair")
    async with ScriptedProvider() as provider:
        able = ModelInfoConfig(structured_output=True)
        model = OpenAIModelConfig(provider="openai", model="m", base_url=provider.base_url, model_info=able)
        served = Config(models={"default": model}, teams=(config, solo, pair))
        async with serving(served, tmp_path) as server:
            yield provider, server


def chunks(*choices: Mapping[str, Any]) -> Raw:
    lines = [f"data: {json.dumps({'choices': [choice]})}\n\n".encode() for choice in choices]
    return Raw([*lines, b"data: [DONE]\n\n"])


async def post(server: Server, question: str = "hi", **body: Any) -> dict[str, Any]:
    asked = {"messages": [{"role": "user", "content": question}], **body}
    url = f"{server.url}/v1/chat/completions"
    async with aiohttp.ClientSession() as session, session.post(url, json=asked) as response:
        answer: dict[str, Any] = await response.json()
        return answer


def latest_events(server: Server) -> Sequence[Event]:
    return [entry.event for entry in runs_in(server.state.registry, Owner())[0].log.since(0)]


@pytest.mark.parametrize(
    ("last", "says"),
    [
        (
            {"delta": {}, "finish_reason": "error", "error": {"code": 502, "message": "Upstream overloaded"}},
            "reported an error: Upstream overloaded",
        ),
        ({"delta": {"content": "", "role": "assistant"}, "error": "no capacity"}, "reported an error: no capacity"),
        ({"delta": {}, "finish_reason": "error"}, "reported an error"),
        ({"delta": {}, "finish_reason": "stop", "native_finish_reason": "MALFORMED_FUNCTION_CALL"}, "MALFORMED"),
        ({"delta": {}, "finish_reason": "insufficient_system_resource"}, "insufficient_system_resource"),
        ({"delta": {}, "finish_reason": "abort"}, "ended its answer with abort"),
    ],
)
async def test_an_answer_that_broke_is_a_failure(tmp_path: Path, last: dict[str, Any], says: str) -> None:
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        provider.script(chunks({"delta": {"content": "Well, "}}, last))
        answer = await ask(server.url, "hi", model="solo")
        assert "Well, " in answer.text
        assert [says in error["message"] for error in answer.errors] == [True]
        provider.script(chunks({"delta": {"content": "Well, "}}, last))
        assert says in (await post(server, model="solo"))["error"]["message"]


@pytest.mark.parametrize(
    ("finish", "reason", "words"),
    [
        ("length", "length", "Solo reached the model's token limit: the answer is cut off"),
        ("MAX_TOKENS", "length", "Solo reached the model's token limit"),
        ("model_length", "length", "token limit"),
        ("content_filter", "content_filter", "Solo was cut off by the provider's content filter"),
        ("content_filter: SAFETY", "content_filter", "content filter"),
        ("guardrail_intervened", "content_filter", "content filter"),
        ("sensitive", "content_filter", "content filter"),
        ("load", "stop", 'Solo ended with the reason "load"'),
    ],
)
async def test_a_cut_answer_says_so_to_everyone(tmp_path: Path, finish: str, reason: str, words: str) -> None:
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        provider.script(*[ScriptedAnswer("Half of", finish=finish)] * 2)
        answer = await ask(server.url, "hi", model="solo")
        assert answer.finish_reasons == [reason]
        assert answer.text.startswith("✅ **Solo**\n\nHalf of\n\n📌 *")
        assert words in answer.text
        choice = (await post(server, model="solo"))["choices"][0]
        assert (choice["finish_reason"], choice["message"]["content"]) == (reason, answer.text)


async def test_the_next_agent_knows_that_an_answer_was_cut(tmp_path: Path) -> None:
    """The run itself ends well: its last answer is whole. The user sees the remark once, in our words."""
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        provider.script(ScriptedAnswer("A long poe", finish="length"), ScriptedAnswer("It breaks off."))
        answer = await ask(server.url, "hi", model="pair")
        assert answer.finish_reasons == ["stop"]
        assert answer.text == (
            "💬 **Writer**\n\nA long poe\n\n📌 *Writer reached the model's token limit: the answer is cut off*\n\n"
            "🛡 **Reviewer**\n\nIt breaks off."
        )
        told = provider.exchanges[1].body["messages"][-1]["content"]
        assert told.startswith("A long poe\n\n[This answer is not complete")


async def test_an_answer_that_was_withheld_is_not_silence(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        provider.script(ScriptedAnswer(finish="content_filter"), ScriptedAnswer("Why?"))
        answer = await ask(server.url, "hi", model="pair")
        withheld = "[The provider's content filter withheld the answer.]"
        assert withheld in answer.text
        assert withheld in json.dumps(provider.exchanges[1].body["messages"])
        provider.script(ScriptedAnswer(finish="content_filter"))
        choice = (await post(server, model="solo"))["choices"][0]
        assert choice["finish_reason"] == "content_filter"
        assert withheld in choice["message"]["content"]


async def test_a_refusal_is_one_for_programs(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        refusal = chunks(
            {"delta": {"refusal": "I can't "}}, {"delta": {"refusal": "do that."}, "finish_reason": "stop"}
        )
        provider.script(refusal, refusal, ScriptedAnswer(finish="refusal"))
        answer = await ask(server.url, "hi", model="solo")
        deltas = [frame["choices"][0]["delta"] for frame in answer.frames if frame.get("choices")]
        assert "I can't do that." in [delta.get("refusal") for delta in deltas]
        assert answer.finish_reasons == ["stop"]
        message = (await post(server, model="solo"))["choices"][0]["message"]
        assert message["refusal"] == "I can't do that."
        assert message["refusal"] in message["content"]
        message = (await post(server, model="solo"))["choices"][0]["message"]
        assert message["refusal"] == "[The model refused to answer.]"


async def test_json_that_was_cut_says_why(tmp_path: Path) -> None:
    async with served(tmp_path, "structured") as (provider, server):
        provider.script(ScriptedAnswer('{"go', finish="length"))
        answer = await ask(server.url, "hi", model="team")
        assert [error["code"] for error in answer.errors] == ["model_failed"]
        assert "did not give the JSON that it was asked for: it reached its token limit" in answer.errors[0]["message"]


async def test_a_limit_of_the_team_is_its_last_line(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        provider.script(ScriptedAnswer("A poem."), ScriptedAnswer("Not yet."))
        answer = await ask(server.url, "write", model="team")
        limit = "Maximum number of messages 3 reached, current message count: 3"
        assert answer.text.endswith(f"Not yet.\n\n📌 *The team ended: {limit}*")
        finished = latest_events(server)[-1]
        assert isinstance(finished, RunFinished)
        assert (finished.reason, finished.stop_reason) == ("stop", limit)


async def test_an_end_that_the_last_words_explain_has_no_line(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_critic") as (provider, server):
        provider.script(ScriptedAnswer("A poem."), ScriptedAnswer(f"Good. {APPROVE}"))
        answer = await ask(server.url, "write", model="team")
        assert answer.text.endswith(APPROVE)
        finished = latest_events(server)[-1]
        assert isinstance(finished, RunFinished)
        assert finished.stop_reason is not None
        assert finished.stop_reason.startswith(f"Text '{APPROVE}' mentioned")


async def test_an_answering_agent_explains_the_end(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_critic", answer_from=["Critic"]) as (provider, server):
        provider.script(ScriptedAnswer("A poem."), ScriptedAnswer("Not yet."))
        assert (await ask(server.url, "write", model="team")).text.endswith("✅ **Critic**\n\nNot yet.")
        assert not [event for event in latest_events(server) if isinstance(event, Notice)]


async def test_a_termination_word_in_the_question_is_named(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_critic") as (_, server):
        answer = await ask(server.url, f"What does {APPROVE} mean?", model="team")
        assert f'your question says "{APPROVE}", which ends it' in answer.text


async def test_an_approval_is_a_success(tmp_path: Path) -> None:
    async with served(tmp_path, "writer_and_person") as (provider, server):
        provider.script(ScriptedAnswer("A poem."))
        talk = {"X-Conversation-Id": "talk"}
        await ask(server.url, "write", model="team", headers=talk)
        answer = await ask(server.url, APPROVE, model="team", headers=talk)
        assert answer.text.endswith(f'The team is done: your reply says "{APPROVE}".')
        assert len(provider.exchanges) == 1


async def test_an_approval_by_a_tool_is_a_success(tmp_path: Path) -> None:
    async with served(tmp_path, "approver") as (provider, server):
        provider.script(ScriptedAnswer(Call("approve")))
        answer = await ask(server.url, "look", model="team")
        assert answer.text.endswith("The team is done: the tool approve has run.")
        assert not [event for event in latest_events(server) if isinstance(event, Error)]
