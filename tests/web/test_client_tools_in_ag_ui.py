"""A frontend's tools in AG-UI: open calls end the run, and the next run of the thread brings their results."""

from pathlib import Path
from typing import Any

import aiohttp

from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import serving
from tests.kit.strict_openai import why_refused
from tests.web.test_ag_ui import events_in
from tests.web.test_client_tools import calling, said

USER = {"id": "u", "role": "user", "content": "Do I need an umbrella in Oslo?"}
TOOLS: Any = [{"name": "weather", "description": "The weather.", "parameters": {"type": "object", "properties": {}}}]


async def run(url: str, run_id: str, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    body = {
        "threadId": "talk",
        "runId": run_id,
        "messages": messages,
        "tools": TOOLS,
        "context": [],
        "state": {},
        "forwardedProps": {},
    }
    async with aiohttp.ClientSession() as session, session.post(f"{url}/v1/ag-ui/lone", json=body) as response:
        assert response.status == 200, await response.text()
        return events_in(await response.read())


async def test_a_result_continues_the_agent_that_called(tmp_path: Path) -> None:
    own = Call("add", {"first": 1, "second": 2}, "call_own")
    async with ScriptedProvider(why_refused) as provider:
        provider.script(ScriptedAnswer(own, Call("weather", {}, "call_oslo", 1)), ScriptedAnswer("Yes."))
        async with serving(calling(provider, "lone"), tmp_path) as server:
            first = await run(server.url, "r1", USER)
            calls = [event for event in first if event["type"] == "TOOL_CALL_START"]
            answered = {event["toolCallId"] for event in first if event["type"] == "TOOL_CALL_RESULT"}
            (open_call,) = [call for call in calls if call["toolCallId"] not in answered]
            assert (open_call["toolCallId"], open_call["toolCallName"]) == ("call_oslo", "weather")
            assert first[-1]["type"] == "RUN_FINISHED"
            function = {"name": "weather", "arguments": "{}"}
            message = {
                "id": "a",
                "role": "assistant",
                "toolCalls": [{"id": "call_oslo", "type": "function", "function": function}],
            }
            result = {"id": "t", "role": "tool", "toolCallId": "call_oslo", "content": "rain"}
            second = await run(server.url, "r2", USER, message, result)
    assert "".join(event["delta"] for event in second if event["type"] == "TEXT_MESSAGE_CONTENT") == "Yes."
    assert said(provider.exchanges[1].body["messages"])[2:] == [
        "assistant:  add(call_own) weather(call_oslo)",
        "tool(call_own): the sum is 3",
        "tool(call_oslo): rain",
    ], "with the state that was kept"
