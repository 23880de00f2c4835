"""Faults that users of other programs reported of models, each through the front door: what the client gets instead.

The reports: microsoft/autogen#7136 (signatures), mastra-ai/mastra#12592 (reasoning), BerriAI/litellm#16272 (parts),
QwenLM/Qwen-Agent#542 (empty thoughts), vllm-project/vllm#43851 (arguments), microsoft/autogen#1037 (order of roles),
NousResearch/hermes-agent#9486 (empty messages), and those that the classes of the zoo name.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat, Swarm
from pydantic import BaseModel

from aiostream_server.config.model import Config, OpenAIModelConfig, TeamConfig
from aiostream_server.teams.context import TeamContext
from tests.kit.scripted_provider import HttpError, Raw, Reply, ScriptedProvider
from tests.kit.serving import ask, serving

Answer = Callable[[Mapping[str, Any]], Reply]
SIGNATURE: Final = {"google": {"thought_signature": "c2ln"}}
QUESTION: Final = "What is 15% of 850?"


class Trip(BaseModel):
    city: str
    days: int


async def add(a: int, b: int) -> str:
    """Add two numbers."""
    return str(a + b)


def adder(context: TeamContext) -> AssistantAgent:
    return AssistantAgent("Adder", context.model(), tools=[add], reflect_on_tool_use=True)


def planner(context: TeamContext) -> AssistantAgent:
    return AssistantAgent("Planner", context.model(), output_content_type=Trip)


def pair(context: TeamContext) -> RoundRobinGroupChat:
    agents = [AssistantAgent(name, context.model(), system_message=f"You are {name}.") for name in ("Writer", "Critic")]
    return RoundRobinGroupChat(list(agents), max_turns=2)


def swarm(context: TeamContext) -> Swarm:
    alice = AssistantAgent("alice", context.model(), system_message="You are alice.", handoffs=["bob"])
    bob = AssistantAgent("bob", context.model(), system_message="You are bob.")
    return Swarm([alice, bob], termination_condition=TextMentionTermination("TERMINATE"))


def chunks(*deltas: Mapping[str, Any], finish: str = "stop", **choice: Any) -> Raw:
    ends: list[tuple[Mapping[str, Any], str | None]] = [(delta, None) for delta in deltas] + [({}, finish)]
    events: list[Mapping[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "finish_reason": end, **(choice if end else {})}]}
        for delta, end in ends
    ]
    return Raw([b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [b"data: [DONE]\n\n"])


def words(*texts: str) -> Raw:
    return chunks(*({"content": text} for text in texts))


def call(name: str, arguments: str, **extra: Any) -> Mapping[str, Any]:
    function = {"name": name, "arguments": arguments}
    return {"tool_calls": [{"index": 0, "id": "call_1", "type": "function", "function": function, **extra}]}


def refused(text: str) -> HttpError:
    return HttpError(400, {"error": {"message": text, "type": "invalid_request_error"}})


def has_result(body: Mapping[str, Any]) -> bool:
    return any(message["role"] == "tool" for message in body["messages"])


def wants(field: str, value: object, place: str) -> Answer:
    """Calls the calculator, and takes the call back only with what came beside it."""

    def answer(body: Mapping[str, Any]) -> Reply:
        for message in body["messages"]:
            for made in message.get("tool_calls", ()):
                if (made if place == "call" else message).get(field) != value:
                    return refused(f"{field} is missing")
        if has_result(body):
            return words("It is ", "127.5.")
        if place == "call":
            return chunks(call("calculate", '{"expression": "15% of 850"}', **{field: value}), finish="tool_calls")
        return chunks({field: value}, call("calculate", '{"expression": "15% of 850"}'), finish="tool_calls")

    return answer


def alternating(body: Mapping[str, Any]) -> Reply:
    roles = [message["role"] for message in body["messages"] if message["role"] != "system"]
    if any(before == after for before, after in pairwise(roles)):
        return refused("Conversation roles must alternate user/assistant/user/assistant/...")
    return words("Fine, ", "thanks.")


def without_empty(body: Mapping[str, Any]) -> Reply:
    for at, message in enumerate(body["messages"]):
        if not message.get("tool_calls") and not str(message["content"]).strip():
            return refused(f"messages.{at}: text content blocks must be non-empty")
    return words("Fine, ", "thanks.")


def naming_tools(body: Mapping[str, Any]) -> Reply:
    if not has_result(body):
        return chunks(call("add", '{"a": 1, "b": 2}'), finish="tool_calls")
    if not body.get("tools"):
        return refused("the `tools=` param must be passed in when messages contain tool calls")
    return words("The sum is 3.")


def handing_over(arguments: str) -> Answer:
    def answer(body: Mapping[str, Any]) -> Reply:
        if str(body["messages"][0]["content"]).startswith("You are alice"):
            return chunks(call("transfer_to_bob", arguments), finish="tool_calls")
        return words("bob is here. TERMINATE")

    return answer


def thinking(text: str) -> Mapping[str, Any]:
    return {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]}


PARTS: Final = chunks(
    thinking("Easy "),
    thinking("sum."),
    {"content": "The answer "},
    {"content": [{"type": "text", "text": "is 4"}, {"type": "reference", "reference_ids": [1]}]},
    {"content": "."},
)


@pytest.mark.parametrize(
    ("team", "answer", "shown", "hidden"),
    [
        ("general", wants("extra_content", SIGNATURE, "call"), ["It is 127.5."], ["❌"]),
        ("general", wants("reasoning_content", "I must calculate.", "message"), ["It is 127.5."], ["❌"]),
        ("general", lambda _: PARTS, ["Easy sum.", "The answer is 4."], ["❌", "reference"]),
        ("general", lambda _: words("<think>\n\n</think>\n\n", "Hello there."), ["✅ **Assistant**\n\nHello"], ["🤔"]),
        ("general", lambda _: words("The user greets me.", "\n</th", "ink>\n\n", "Hello."), ["Hello."], ["</think>"]),
        ("pair", alternating, ["💬 **Writer**\n\nFine, thanks.", "**Critic**\n\nFine, thanks."], ["❌"]),
        ("adder", naming_tools, ["The sum is 3."], ["❌"]),
        ("planner", lambda _: words("```json\n", '{"city": "Rome", "days": 3}', "\n```"), ["Rome"], ["❌"]),
        ("planner", lambda _: words('Here it is:\n{"city": "Rome", ', '"days": 3}'), ["Rome"], ["❌"]),
        ("swarm", handing_over("null"), ["bob is here."], ["❌"]),
        ("swarm", handing_over("[]"), ["bob is here."], ["❌"]),
        ("swarm", handing_over(""), ["bob is here."], ["❌"]),
    ],
    ids=[
        "thought-signature", "reasoning-back", "content-parts", "empty-think-block", "lone-closing-think",
        "roles-must-alternate", "reflection-without-tools", "fenced-json", "json-behind-prose",
        "arguments-null", "arguments-list", "arguments-empty",
    ],
)  # fmt: skip
async def test_the_answer_comes(
    tmp_path: Path, team: str, answer: Answer, shown: Sequence[str], hidden: Sequence[str]
) -> None:
    text = (await _asked(tmp_path, team, answer, QUESTION))[0]
    assert [part for part in shown if part not in text] == [], text
    assert [part for part in hidden if part in text] == [], text


@pytest.mark.parametrize(
    "history",
    [
        [("user", "Hi"), ("assistant", ""), ("user", "Hi again")],
        [("user", "Hi"), ("assistant", "")],
    ],
)
async def test_what_a_stopped_answer_left_is_not_sent(tmp_path: Path, history: Sequence[tuple[str, str]]) -> None:
    messages = [{"role": role, "content": content} for role, content in history]
    text, errors = await _asked(tmp_path, "general", without_empty, messages)
    assert errors == []
    assert text.endswith("Fine, thanks.")


@pytest.mark.parametrize(
    "choice",
    [
        {"error": {"code": 502, "message": "Upstream provider overloaded"}},
        {},
    ],
)
async def test_a_failure_in_the_choice_is_one(tmp_path: Path, choice: Mapping[str, Any]) -> None:
    text, errors = await _asked(
        tmp_path, "general", lambda _: chunks({"content": "Well, "}, finish="error", **choice), "?"
    )
    assert text.startswith("✅ **Assistant**\n\nWell, ")
    assert len(errors) == 1
    assert str(choice.get("error", {}).get("message", "error")) in errors[0]


async def _asked(
    folder: Path, team: str, answer: Answer, question: str | list[dict[str, Any]]
) -> tuple[str, Sequence[str]]:
    async with ScriptedProvider() as provider:
        provider.script(answer)
        info = {"structured_output": True} if team == "planner" else None
        table = {"provider": "openai", "model": "m", "base_url": provider.base_url, "model_info": info}
        where = (
            "aiostream_server.teams.general:build" if team == "general" else f"tests.zoo.test_reported_faults:{team}"
        )
        model = OpenAIModelConfig.model_validate(table)
        async with serving(
            Config(models={"default": model}, teams=(TeamConfig(id=team, factory=where),)), folder
        ) as server:
            got = await ask(server.url, question, model=team)
    assert got.done
    return got.text, [str(error["message"]) for error in got.errors]
