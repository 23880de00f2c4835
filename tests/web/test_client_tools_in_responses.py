"""The client's tools in OpenAI's Responses: open `function_call` items, and their outputs in the next request."""

from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response, ResponseFunctionToolCall

from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import serving
from tests.kit.strict_openai import why_refused
from tests.web.test_client_tools import calling, said
from tests.web.test_openai_client import client_of

QUESTION = "Do I need an umbrella in Oslo?"
TOOL: Any = {
    "type": "function",
    "name": "weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}
OSLO = Call("weather", {"city": "Oslo"}, "call_oslo")
RAIN: Any = {"type": "function_call_output", "call_id": "call_oslo", "output": "rain"}
RESUMED = [
    "system: You are Lone.",
    f"user: {QUESTION}",
    "assistant:  weather(call_oslo)",
    "tool(call_oslo): rain",
]


async def streamed(client: openai.AsyncOpenAI, **fields: Any) -> Response:
    async with client.responses.stream(model="lone", tools=[TOOL], **fields) as stream:
        response: Response = await stream.get_final_response()
        return response


def call_in(response: Response) -> tuple[str, str, str]:
    (call,) = [item for item in response.output if isinstance(item, ResponseFunctionToolCall)]
    return call.call_id, call.name, call.arguments


@pytest.mark.parametrize("is_chained", [True, False])
async def test_an_output_continues_the_agent_that_called(tmp_path: Path, is_chained: bool) -> None:
    """By `previous_response_id`, with the output alone; or with all items sent again."""
    async with ScriptedProvider(why_refused) as provider:
        provider.script(ScriptedAnswer(OSLO), ScriptedAnswer("Yes."), ScriptedAnswer("Bye."))
        async with serving(calling(provider, "lone"), tmp_path) as server, client_of(server) as client:
            first = await streamed(client, input=QUESTION)
            assert call_in(first) == ("call_oslo", "weather", '{"city": "Oslo"}')
            if is_chained:
                second = await streamed(client, input=[RAIN], previous_response_id=first.id)
                await streamed(client, input="Thanks.", previous_response_id=second.id)
            else:
                items: list[Any] = [{"role": "user", "content": QUESTION}, *first.output, RAIN]
                second = await streamed(client, input=items)
                await streamed(client, input=[*items, *second.output, {"role": "user", "content": "Thanks."}])
        assert second.output_text.endswith("Yes.")
        assert said(provider.exchanges[1].body["messages"]) == RESUMED
        assert said(provider.exchanges[2].body["messages"]) == [*RESUMED, "assistant: Yes.", "user: Thanks."]


async def test_an_output_of_a_call_that_was_never_made_is_refused(tmp_path: Path) -> None:
    async with ScriptedProvider(why_refused) as provider:
        provider.script(ScriptedAnswer(OSLO), ScriptedAnswer("Hello."))
        async with serving(calling(provider, "lone"), tmp_path) as server, client_of(server) as client:
            called = await streamed(client, input=QUESTION)
            answered = await client.responses.create(model="lone", input="Hi")
            for response in (called, answered):
                other: Any = {**RAIN, "call_id": "other"}
                with pytest.raises(openai.BadRequestError, match="no tool call"):
                    await client.responses.create(model="lone", input=[other], previous_response_id=response.id)


@pytest.mark.parametrize("bound", [0, 1])
async def test_max_tool_calls_bounds_the_teams_own_calls_and_not_the_clients(tmp_path: Path, bound: int) -> None:
    """Beyond it a call is not made, and a model that is offered nothing but own tools is told to call none."""
    both = ScriptedAnswer(*[Call("add", {"first": n, "second": n}, f"call_{n}", n) for n in range(2)])
    alone = [both, ScriptedAnswer("Done.")] if bound else [ScriptedAnswer("Done.")]
    async with ScriptedProvider(why_refused) as provider:
        provider.script(*alone, ScriptedAnswer(Call("add", {"first": 1, "second": 1}, "call_own", 0), OSLO))
        async with serving(calling(provider, "lone"), tmp_path) as server, client_of(server) as client:
            first = await client.responses.create(model="lone", input="Add.", max_tool_calls=bound)
            asked = len(provider.exchanges)
            second = await client.responses.create(model="lone", input=QUESTION, tools=[TOOL], max_tool_calls=0)
        bodies = [exchange.body for exchange in provider.exchanges]
    assert (first.output_text, first.max_tool_calls, asked) == ("Done.", bound, len(alone))
    assert bodies[asked - 1]["tool_choice"] == "none"
    assert [line for line in said(bodies[asked - 1]["messages"]) if line.startswith("tool")] == [
        "tool(call_0): the sum is 0"
    ][:bound]
    assert bodies[asked].get("tool_choice", "auto") == "auto"
    assert call_in(second)[1] == "weather"
    assert "add(" not in str(second.output)
