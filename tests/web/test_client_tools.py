"""The client's own tools: agents call them, the run ends, and the next one goes on with the results."""

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletion

from aiostream_server.config.model import Config, TeamConfig
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, config_for, serving
from tests.kit.strict_openai import why_refused
from tests.web.test_openai_client import client_of

ASKED: Mapping[str, Any] = {"role": "user", "content": "Do I need an umbrella in Oslo?"}
TALK = {"X-Conversation-Id": "talk"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
OSLO = Call("weather", {"city": "Oslo"}, "call_oslo")
RAIN = {"role": "tool", "tool_call_id": "call_oslo", "content": "rain"}


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider(why_refused) as provider:
        yield provider


def calling(provider: ScriptedProvider, name: str, **settings: Any) -> Config:
    team = TeamConfig(id=name, factory=f"tests.web.calling_teams:{name}", **{"client_tools": True, **settings})
    return config_for(provider.base_url, team)


class Client:
    """Asks as programs do that run tools: each request has everything that was said before."""

    def __init__(self, server: Server, model: str, *, headers: Mapping[str, str] | None = None, **fields: Any) -> None:
        self._server, self._model, self._headers = server, model, headers
        self._fields: dict[str, Any] = {"tools": [WEATHER], **fields}
        self.messages: list[Mapping[str, Any]] = []

    async def ask(self, *messages: Mapping[str, Any], is_streamed: bool = True, **fields: Any) -> ChatCompletion:
        self.messages += messages
        body: dict[str, Any] = {"model": self._model, "messages": self.messages, **self._fields, **fields}
        async with client_of(self._server) as client:
            completions = client.chat.completions
            if is_streamed:
                async with completions.stream(**body, extra_headers=self._headers) as stream:
                    completion: ChatCompletion = await stream.get_final_completion()
            else:
                completion = await completions.create(**body, extra_headers=self._headers)
        message = completion.choices[0].message.to_dict()
        message.pop("parsed", None)
        self.messages.append({name: value for name, value in message.items() if value is not None})
        return completion


def called(completion: ChatCompletion) -> list[tuple[str, str, Any]]:
    calls: Any = completion.choices[0].message.to_dict().get("tool_calls") or []
    return [(call["id"], call["function"]["name"], json.loads(call["function"]["arguments"])) for call in calls]


def said(messages: Sequence[Mapping[str, Any]]) -> list[str]:
    """Each message in a few words."""
    return [_in_words(message) for message in messages]


def _in_words(message: Mapping[str, Any]) -> str:
    calls = "".join(f" {call['function']['name']}({call['id']})" for call in message.get("tool_calls", ()))
    of_call = f"({message['tool_call_id']})" if message["role"] == "tool" else ""
    return f"{message['role']}{of_call}: {message.get('content') or ''}{calls}"


@pytest.mark.parametrize("is_streamed", [True, False])
async def test_a_call_ends_the_answer_and_its_result_continues_it(
    provider: ScriptedProvider, tmp_path: Path, is_streamed: bool
) -> None:
    provider.script(ScriptedAnswer("Let me look.", OSLO), ScriptedAnswer("Yes, ", "it rains."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer")
        first = await client.ask(ASKED, is_streamed=is_streamed)
        second = await client.ask(RAIN, is_streamed=is_streamed)
    assert called(first) == [("call_oslo", "weather", {"city": "Oslo"})]
    assert first.choices[0].finish_reason == "tool_calls"
    assert second.choices[0].message.content == "Yes, it rains."
    assert second.choices[0].finish_reason == "stop"
    one, two = (exchange.body for exchange in provider.exchanges)
    assert [tool["function"]["name"] for tool in one["tools"]] == ["add", "weather"]
    assert one["tools"][1] == WEATHER
    assert said(two["messages"]) == [
        "system: You are Lone.",
        "user: Do I need an umbrella in Oslo?",
        "assistant: Let me look. weather(call_oslo)",
        "tool(call_oslo): rain",
    ], "as if the tool had run inside, and nothing else"


async def test_own_tools_run_beside_the_clients_and_kept_state_has_all_of_it(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    """The model calls its own tool, then both at once; the client never sees the own calls, the model sees all."""
    provider.script(
        ScriptedAnswer(Call("add", {"first": 1, "second": 2}, "call_a")),
        ScriptedAnswer(
            Call("add", {"first": 3, "second": 4}, "call_b", 0), Call("weather", {"city": "Oslo"}, "call_oslo", 1)
        ),
        ScriptedAnswer("Rain."),
        ScriptedAnswer("You are welcome."),
    )
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer", headers=TALK)
        first = await client.ask(ASKED)
        await client.ask(RAIN)
        await client.ask({"role": "user", "content": "Thanks."})
    assert called(first) == [("call_oslo", "weather", {"city": "Oslo"})]
    before = [
        "system: You are Lone.",
        "user: Do I need an umbrella in Oslo?",
        "assistant:  add(call_a)",
        "tool(call_a): the sum is 3",
        "assistant:  add(call_b) weather(call_oslo)",
        "tool(call_b): the sum is 7",
        "tool(call_oslo): rain",
    ]
    assert said(provider.exchanges[2].body["messages"]) == before
    last = said(provider.exchanges[3].body["messages"])
    assert last == [*before, "assistant: Rain.", "user: Thanks."], "the state of the turn after that, too"


async def test_several_calls_are_passed_on_together_and_a_result_that_is_missing_is_named_so(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    both = [Call("weather", {"city": city}, f"call_{index}", index) for index, city in enumerate(("Oslo", "Rome"))]
    provider.script(ScriptedAnswer(*both), ScriptedAnswer("Sun."), ScriptedAnswer("Hm."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer", headers=TALK)
        first = await client.ask(ASKED)
        await client.ask({**RAIN, "tool_call_id": "call_1", "content": "sun"})
        await Client(server, "lone:answer").ask(*client.messages[:3])  # without kept state
    assert called(first) == [("call_0", "weather", {"city": "Oslo"}), ("call_1", "weather", {"city": "Rome"})]
    no_result = "tool(call_0): There is no result: the user's program has not answered this call."
    for exchange in provider.exchanges[1:]:
        assert said(exchange.body["messages"])[-2:] == [no_result, "tool(call_1): sun"]


@pytest.mark.parametrize("headers", [TALK, None])
async def test_a_user_who_goes_on_without_the_result_is_answered(
    provider: ScriptedProvider, tmp_path: Path, headers: Mapping[str, str] | None
) -> None:
    provider.script(ScriptedAnswer(OSLO), ScriptedAnswer("Fine."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer", headers=headers)
        await client.ask(ASKED)
        answer = await client.ask({"role": "user", "content": "Never mind."})
    assert answer.choices[0].message.content == "Fine."
    assert said(provider.exchanges[1].body["messages"])[-1] == "user: Never mind."


async def test_a_question_beside_the_result_is_asked_too(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(OSLO), ScriptedAnswer("Both."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer", headers=TALK)
        await client.ask(ASKED)
        await client.ask(RAIN, {"role": "user", "content": "And a hat?"})
    assert said(provider.exchanges[1].body["messages"])[-2:] == ["tool(call_oslo): rain", "user: And a hat?"]


async def test_an_agent_without_tools_of_its_own_can_call_and_go_on(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(OSLO), ScriptedAnswer("Yes."))
    async with serving(calling(provider, "bare"), tmp_path) as server:
        client = Client(server, "bare:answer")
        await client.ask(ASKED)
        answer = await client.ask(RAIN)
    assert answer.choices[0].message.content == "Yes."


GROUPS = {
    "robin": ([ScriptedAnswer("I am first.")], "Second", ["Third"]),
    "selector": ([ScriptedAnswer("First"), ScriptedAnswer("I am first.")], "Second", []),
    "swarm": ([ScriptedAnswer(Call("transfer_to_second", {}, "call_h"))], "Second", []),
    "graph": ([ScriptedAnswer("I am first.")], "Second", ["Third"]),
}


@pytest.mark.parametrize("kind", GROUPS)
@pytest.mark.parametrize("headers", [TALK, None])
async def test_in_a_group_the_agent_that_called_goes_on(
    provider: ScriptedProvider, tmp_path: Path, kind: str, headers: Mapping[str, str] | None
) -> None:
    """With kept state, and without: then the messages say who has spoken."""
    before, caller, after = GROUPS[kind]
    provider.script(*before, ScriptedAnswer(OSLO), ScriptedAnswer("It rains" if after else "It rains. DONE"))
    provider.script(*[ScriptedAnswer(f"I am {name}. DONE") for name in after])
    async with serving(calling(provider, kind, answer_from=(caller,)), tmp_path) as server:
        client = Client(server, kind, headers=headers)
        first = await client.ask(ASKED)
        second = await client.ask(RAIN)
    assert called(first) == [("call_oslo", "weather", {"city": "Oslo"})]
    offered = ["weather" in json.dumps(exchange.body.get("tools", "")) for exchange in provider.exchanges]
    assert offered == [*[False] * len(before), True, True, *[False] * len(after)], "the answering agent alone"
    resumed = said(provider.exchanges[len(before) + 1].body["messages"])
    assert resumed[0] == f"system: You are {caller}."
    assert resumed[-1] == "tool(call_oslo): rain"
    assert sum("umbrella" in line for line in resumed) == 1
    if headers is not None:
        asked = said(provider.exchanges[len(before)].body["messages"])
        assert resumed == [*asked, "assistant:  weather(call_oslo)", "tool(call_oslo): rain"]
    assert second.choices[0].finish_reason == "stop"
    text = second.choices[0].message.content or ""
    assert "It rains" in text
    assert all(f"I am {name}." in text for name in after)
    assert len(provider.exchanges) == len(before) + 2 + len(after)
