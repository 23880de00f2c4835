"""The client's own tools: agents call them, the run ends, and the next one goes on with the results."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletion

from aiostream_server.client import StreamClient
from aiostream_server.config.model import Config, LimitsConfig, TeamConfig
from aiostream_server.events import Answer, RunFinished, ToolRequested
from tests.kit.scripted_provider import Call, Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ServedAnswer, Server, ask, config_for, serving
from tests.kit.strict_openai import why_refused
from tests.web.test_openai_client import client_of

ASKED: dict[str, Any] = {"role": "user", "content": "Do I need an umbrella in Oslo?"}
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
RAIN: dict[str, Any] = {"role": "tool", "tool_call_id": "call_oslo", "content": "rain"}


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


async def test_a_name_of_an_own_tool_means_that_tool(provider: ScriptedProvider, tmp_path: Path) -> None:
    clash = {"type": "function", "function": {"name": "add", "parameters": {"type": "object", "properties": {}}}}
    provider.script(ScriptedAnswer(Call("add", {"first": 1, "second": 2})), ScriptedAnswer("Three."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        answer = await Client(server, "lone:answer", tools=[clash, WEATHER]).ask(ASKED)
    assert answer.choices[0].message.content == "Three."
    assert [tool["function"]["name"] for tool in provider.exchanges[0].body["tools"]] == ["add", "weather"]


async def test_arguments_that_are_no_json_stay_inside(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(Call("weather", '{"city": ', "call_bad")), ScriptedAnswer(OSLO))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone")
        answer = await client.ask(ASKED)
    assert called(answer) == [("call_oslo", "weather", {"city": "Oslo"})]
    assert "Error" in said(provider.exchanges[1].body["messages"])[-1]
    assert "weather" in (answer.choices[0].message.content or ""), "the transcript shows what happened inside"


@pytest.mark.parametrize(
    ("choice", "kind", "asked", "finish"),
    [
        ("required", "lone", "required", "tool_calls"),
        ("required", "bare", "required", "tool_calls"),
        ({"type": "function", "function": {"name": "weather"}}, "lone", "required", "stop"),
        ({"type": "function", "function": {"name": "weather"}}, "bare", {"weather"}, "stop"),
    ],
)
async def test_a_forced_call_is_the_agents_own(
    provider: ScriptedProvider, tmp_path: Path, choice: Any, kind: str, asked: Any, finish: str
) -> None:
    provider.script(ScriptedAnswer(OSLO))
    other = {"type": "function", "function": {"name": "other"}}
    async with serving(calling(provider, kind), tmp_path) as server:
        answer = await Client(server, kind, tools=[WEATHER, other], tool_choice=choice).ask(ASKED)
    assert called(answer) == [("call_oslo", "weather", {"city": "Oslo"})]
    assert answer.choices[0].finish_reason == finish
    (exchange,) = provider.exchanges
    sent = exchange.body["tool_choice"]
    assert (sent if isinstance(sent, str) else {sent["function"]["name"]}) == asked
    offered = [tool["function"]["name"] for tool in exchange.body["tools"]]
    assert ("other" in offered) == (choice == "required"), "of a named one, no other is offered"


async def test_a_forced_call_fits_its_schema(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(Call("weather", {"town": "Oslo"}, "call_bad")), ScriptedAnswer(OSLO))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        answer = await Client(server, "lone:answer", tool_choice="required").ask(ASKED)
    assert called(answer) == [("call_oslo", "weather", {"city": "Oslo"})]
    assert "'city' is a required property" in said(provider.exchanges[1].body["messages"])[-1]


async def test_an_agent_that_calls_nothing_though_it_must_is_asked_once_more(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    provider.script(ScriptedAnswer("Oslo is wet."), ScriptedAnswer(Call("weather", {"city": "Oslo"})))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        answer = await Client(server, "lone", tool_choice="required").ask(ASKED)
    assert [call[1:] for call in called(answer)] == [("weather", {"city": "Oslo"})]


@pytest.mark.parametrize(
    ("fields", "offered"),
    [
        ({"tool_choice": "none"}, ["add"]),
        ({"tools": []}, ["add"]),
        ({"tool_choice": "auto"}, ["add", "weather"]),
        (
            {
                "tools": [WEATHER, {"type": "function", "function": {"name": "b", "strict": True, "parameters": {}}}],
                "tool_choice": {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [{"type": "function", "function": {"name": "b"}}]},
                },
            },
            ["add", "b"],
        ),
    ],
)
async def test_which_tools_are_offered(
    provider: ScriptedProvider, tmp_path: Path, fields: Mapping[str, Any], offered: Sequence[str]
) -> None:
    provider.script(ScriptedAnswer("Fine."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        await Client(server, "lone", **fields).ask(ASKED)
    assert [tool["function"]["name"] for tool in provider.exchanges[0].body["tools"]] == offered


async def test_schemas_are_repaired_as_those_of_own_tools_and_bounded(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    """However long they are: each is looked at once, outside the event loop."""
    provider.script(ScriptedAnswer("Fine."))
    listed = {"type": "object", "properties": {f"p{number}": {"type": "array"} for number in range(300)}}
    tool = {"type": "function", "function": {"name": "list", "parameters": listed}}
    async with serving(calling(provider, "lone"), tmp_path) as server:
        await Client(server, "lone", tools=[tool, WEATHER]).ask(ASKED)
        for tools in ([{**tool, "function": {"name": f"t{number}"}} for number in range(129)], [_long(600_000)]):
            with pytest.raises(openai.BadRequestError, match="more than"):
                await Client(server, "lone", tools=tools).ask(ASKED)
    sent = provider.exchanges[0].body["tools"][1]["function"]["parameters"]["properties"]
    assert all("items" in each for each in sent.values()), "strict providers want them"


def _long(chars: int) -> dict[str, Any]:
    described = {"type": "object", "properties": {"a": {"type": "string", "description": "x" * chars}}}
    return {"type": "function", "function": {"name": "long", "parameters": described}}


async def test_one_call_at_a_time_where_the_request_wants_it(provider: ScriptedProvider, tmp_path: Path) -> None:
    """Also of a provider that does not obey."""
    provider.script(ScriptedAnswer(OSLO, Call("weather", {"city": "Rome"}, "call_rome", 1)), ScriptedAnswer("Rain."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer", parallel_tool_calls=False)
        first = await client.ask(ASKED)
        await client.ask(RAIN)
    assert called(first) == [("call_oslo", "weather", {"city": "Oslo"})]
    assert provider.exchanges[0].body["parallel_tool_calls"] is False


async def test_strict_reaches_the_provider(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("Fine."))
    parameters = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}
    function = {"name": "now", "description": "The time.", "strict": True, "parameters": parameters}
    strict = {"type": "function", "function": function}
    async with serving(calling(provider, "lone"), tmp_path) as server:
        await Client(server, "lone", tools=[strict]).ask(ASKED)
    assert provider.exchanges[0].body["tools"][1] == strict


async def test_a_team_that_does_not_allow_them_ignores_them(provider: ScriptedProvider, tmp_path: Path) -> None:
    """And answers a result in the way of a question, as it always did."""
    provider.script(ScriptedAnswer("Fine."), ScriptedAnswer("Wet."))
    async with serving(calling(provider, "lone", client_tools=False), tmp_path) as server:
        client = Client(server, "lone:answer")
        await client.ask(ASKED)
        call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
        client.messages = [ASKED, {"role": "assistant", "content": None, "tool_calls": [call]}]
        await client.ask({**RAIN, "tool_call_id": "c"})
    assert [tool["function"]["name"] for tool in provider.exchanges[0].body["tools"]] == ["add"]
    assert (
        said(provider.exchanges[1].body["messages"])[-1]
        == "user: Answer my last question, using the tool result above."
    )


@pytest.mark.parametrize("both_call", [True, False])
async def test_branches_of_a_graph_that_work_at_once_all_go_on(
    provider: ScriptedProvider, tmp_path: Path, both_call: bool
) -> None:
    """Where both call, one answer has all calls; where one calls, the other finishes its turn before that. Third gets
    what both say."""
    may_answer = Gate()

    def reply(body: Mapping[str, Any]) -> ScriptedAnswer:
        told = json.dumps(body["messages"])
        name = next(name for name in ("First", "Second", "Third") if f"You are {name}." in told)
        if name == "Third":
            return ScriptedAnswer("All said.")
        if '"tool"' in told:
            return ScriptedAnswer(f"{name} knows.")
        if name == "First" or both_call:
            return ScriptedAnswer(Call("weather", {"city": name}, f"call_{name}"))
        return ScriptedAnswer(may_answer, "Second knows.")

    provider.script(reply)
    async with serving(calling(provider, "fork"), tmp_path) as server:
        client = Client(server, "fork:answer", headers=TALK)
        asking = asyncio.create_task(client.ask(ASKED))
        await provider.request(2)
        may_answer.open()
        first = await asking
        names = ["First", "Second"] if both_call else ["First"]
        assert sorted(city["city"] for _, _, city in called(first)) == names
        results = [{"role": "tool", "tool_call_id": f"call_{name}", "content": f"rain at {name}"} for name in names]
        second = await client.ask(*results)
    assert "All said." in (second.choices[0].message.content or "")
    of_third = provider.exchanges[-1].body["messages"]
    assert sorted(said(of_third)[-2:]) == ["user: First knows.", "user: Second knows."]
    bodies = [json.dumps(exchange.body["messages"]) for exchange in provider.exchanges]
    for name in names:
        (gone_on,) = (body for body in bodies if f"You are {name}." in body and '"tool"' in body)
        assert f"rain at {name}" in gone_on
    assert len(bodies) == 3 + len(names), "each turn once"


async def test_calls_count_for_the_limit_of_tool_calls(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(OSLO, Call("weather", {"city": "Rome"}, "call_rome", 1)))
    config = calling(provider, "lone").model_copy(update={"limits": LimitsConfig(max_tool_calls_per_run=1)})
    async with serving(config, tmp_path) as server:
        with pytest.raises(openai.APIError, match="limit of 1 tool calls"):
            await Client(server, "lone").ask(ASKED)


async def test_auto_goes_on_with_a_team_that_can_have_asked(provider: ScriptedProvider, tmp_path: Path) -> None:
    """Without a conversation, too: only such a team calls the client's tools."""
    provider.script(ScriptedAnswer("Yes."))
    config = calling(provider, "lone")
    other = TeamConfig(
        id="weather", factory="tests.web.calling_teams:bare", examples=("Do I need an umbrella in Oslo?",)
    )
    config = config.model_copy(update={"teams": (other, *config.teams)})
    call = {"id": "call_oslo", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    async with serving(config, tmp_path) as server:
        client = Client(server, "auto")
        await client.ask(ASKED, {"role": "assistant", "content": None, "tool_calls": [call]}, RAIN)
    assert said(provider.exchanges[0].body["messages"])[0] == "system: You are Lone."


async def test_a_plain_model_is_a_team_of_a_kind(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer(OSLO), ScriptedAnswer("Yes."))
    team = TeamConfig(id="plain", kind="assistant", system_message="Be brief.", presentation="answer")
    async with serving(config_for(provider.base_url, team), tmp_path) as server:
        client = Client(server, "plain")
        await client.ask({"role": "system", "content": "You know Norway."}, ASKED)
        answer = await client.ask(RAIN)
    assert answer.choices[0].message.content == "Yes."
    assert said(provider.exchanges[1].body["messages"]) == [
        "system: Be brief.\nYou know Norway.",
        "user: Do I need an umbrella in Oslo?",
        "assistant:  weather(call_oslo)",
        "tool(call_oslo): rain",
    ]


async def test_a_run_tells_all_of_a_long_call_and_goes_on_with_its_result(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    """`/v1/runs`, whose lines are shorter otherwise; the arguments of a call are a whole file here."""
    city = "Ö" * 30_000
    provider.script(ScriptedAnswer(Call("weather", {"city": city}, "call_long")), ScriptedAnswer("Yes."))
    async with serving(calling(provider, "lone"), tmp_path) as server, StreamClient(server.url) as client:
        talk: Any = {"model": "lone", "conversation": "talk", "fields": {"tools": [WEATHER]}}
        first = [event async for event in client.stream([ASKED], **talk)]
        result = {**RAIN, "tool_call_id": "call_long"}
        second = [event async for event in client.stream([result], **talk)]  # the server has the rest
        requested, finished = first[-2:]
        assert isinstance(requested, ToolRequested)
        assert json.loads(requested.arguments) == {"city": city}
        assert isinstance(finished, RunFinished)
        assert finished.reason == "tool_calls"
    assert any(isinstance(event, Answer) and event.content == "Yes." for event in second)
    roles = [message["role"] for message in provider.exchanges[1].body["messages"]]
    assert roles == ["system", "user", "assistant", "tool"]


ORCHESTRATED: Mapping[str, str] = {
    "is_request_satisfied": '{"answer": %s, "reason": "r"}',
    "is_in_loop": '{"answer": false, "reason": "r"}',
    "is_progress_being_made": '{"answer": true, "reason": "r"}',
    "next_speaker": '{"answer": "First", "reason": "r"}',
    "instruction_or_question": '{"answer": "Look.", "reason": "r"}',
}


async def test_magentic_one_goes_on_with_its_plan(provider: ScriptedProvider, tmp_path: Path) -> None:
    def ledger(is_done: str) -> ScriptedAnswer:
        entries = [f'"{name}": {value % is_done if "%s" in value else value}' for name, value in ORCHESTRATED.items()]
        return ScriptedAnswer(f"{{{', '.join(entries)}}}")

    provider.script(ScriptedAnswer("Facts."), ScriptedAnswer("Plan."), ledger("false"), ScriptedAnswer(OSLO))
    provider.script(ScriptedAnswer("It rains."), ledger("true"), ScriptedAnswer("Take an umbrella."))
    async with serving(calling(provider, "magentic"), tmp_path) as server:
        client = Client(server, "magentic:answer", headers=TALK)
        first = await client.ask(ASKED)
        second = await client.ask(RAIN)
    assert called(first) == [("call_oslo", "weather", {"city": "Oslo"})]
    assert second.choices[0].message.content == "Take an umbrella."
    asked, resumed = (said(provider.exchanges[number].body["messages"]) for number in (3, 4))
    assert resumed == [*asked, "assistant:  weather(call_oslo)", "tool(call_oslo): rain"]
    assert len(provider.exchanges) == 7, "the plan is not made again"


async def test_a_repeated_key_gets_the_same_calls(provider: ScriptedProvider, tmp_path: Path) -> None:
    provider.script(ScriptedAnswer("Let me look.", OSLO))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        headers = {"Idempotency-Key": "k"}
        first, again = [await ask(server.url, [ASKED], model="lone", tools=[WEATHER], headers=headers) for _ in "ab"]
    assert first.finish_reasons == ["tool_calls"]
    assert first.frames == again.frames
    assert again.response.headers["Idempotent-Replayed"] == "true"


PAGE = {"X-OpenWebUI-Chat-Id": "chat", "X-OpenWebUI-User-Id": "u"}


async def test_open_webui_runs_its_tools_and_its_page_shows_one_answer(
    provider: ScriptedProvider, tmp_path: Path
) -> None:
    """Its native function calling: it sends the text and the calls back, and appends the next answer to the same text.

    The status line goes on until the last answer ends.
    """
    own = Call("add", {"first": 1, "second": 2}, "call_own")
    provider.script(
        ScriptedAnswer(own), ScriptedAnswer("Let me look.", OSLO), ScriptedAnswer("Yes."), ScriptedAnswer("Bye.")
    )
    async with serving(calling(provider, "lone"), tmp_path) as server:
        asked: dict[str, Any] = {"model": "lone", "tools": [WEATHER], "headers": PAGE}
        first = await ask(server.url, [ASKED], **asked)
        deltas = [choice["delta"] for frame in first.frames for choice in frame.get("choices", ())]
        pieces = [call for delta in deltas for call in delta.get("tool_calls", ())]
        call = {**pieces[0], "function": {"name": "weather", "arguments": pieces[1]["function"]["arguments"]}}
        calls = {"role": "assistant", "content": first.text, "tool_calls": [call]}
        second = await ask(server.url, [ASKED, calls, RAIN], **asked)
        shown = {"role": "assistant", "content": first.text + second.text}
        await ask(server.url, [ASKED, shown, {"role": "user", "content": "Thanks."}], **asked)
    assert [_statuses(each)[-1] for each in (first, second)] == ["Lone is calling weather…", _done(second)]
    assert "done" not in json.dumps([frame for frame in first.frames if "event" in frame])
    assert "<details>" in first.text
    assert second.text.count("Yes.") == 1
    assert said(provider.exchanges[2].body["messages"])[2:] == [
        "assistant:  add(call_own)",
        "tool(call_own): the sum is 3",
        "assistant: Let me look. weather(call_oslo)",
        "tool(call_oslo): rain",
    ]


def _statuses(answer: ServedAnswer) -> list[str]:
    return [frame["event"]["data"]["description"] for frame in answer.frames if "event" in frame]


def _done(answer: ServedAnswer) -> str:
    done = [frame["event"]["data"] for frame in answer.frames if frame.get("event", {}).get("data", {}).get("done")]
    return "".join(status["description"] for status in done)


@pytest.mark.parametrize("headers", [TALK, None])
async def test_calls_may_follow_calls_and_have_the_same_ids(
    provider: ScriptedProvider, tmp_path: Path, headers: Mapping[str, str] | None
) -> None:
    """Some models number the calls of each answer from 0."""
    oslo, rome = (Call("weather", {"city": city}, "call_0") for city in ("Oslo", "Rome"))
    own = Call("add", {"first": 1, "second": 2}, "call_0")
    provider.script(ScriptedAnswer(own), ScriptedAnswer(oslo), ScriptedAnswer(rome), ScriptedAnswer("Both."))
    async with serving(calling(provider, "lone"), tmp_path) as server:
        client = Client(server, "lone:answer", headers=headers)
        await client.ask(ASKED)
        await client.ask({**RAIN, "tool_call_id": "call_0"})
        answer = await client.ask({**RAIN, "tool_call_id": "call_0", "content": "sun"})
    assert answer.choices[0].message.content == "Both."
    pairs = ["assistant:  weather(call_0)", "tool(call_0): rain", "assistant:  weather(call_0)", "tool(call_0): sun"]
    kept = ["assistant:  add(call_0)", "tool(call_0): the sum is 3"] if headers is not None else []
    assert said(provider.exchanges[3].body["messages"])[2:] == [*kept, *pairs]
