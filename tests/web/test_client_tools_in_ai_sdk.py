"""The page's own tools in the AI SDK's UI message stream: it runs them, and sends its message with the outputs."""

from pathlib import Path
from typing import Any

import pytest

from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import serving
from tests.kit.strict_openai import why_refused
from tests.web.test_client_tools import calling, said
from tests.web.ui_chat import chat, said_by

QUESTION = "Do I need an umbrella in Oslo?"
TOOLS: Any = {"weather": {"parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


@pytest.mark.parametrize("is_alone", [False, True])
async def test_an_output_continues_the_agent_that_called(tmp_path: Path, is_alone: bool) -> None:
    """Of a page that sends the whole chat, and of one that sends its last message alone."""

    own = Call("add", {"first": 1, "second": 2}, "call_own")
    async with ScriptedProvider(why_refused) as provider:
        oslo = Call("weather", {"city": "Oslo"}, "call_oslo", 1)
        provider.script(ScriptedAnswer(own, oslo), ScriptedAnswer("Yes."))
        async with serving(calling(provider, "lone"), tmp_path) as server:
            talk: dict[str, Any] = {"model": "lone", "id": "talk", "tools": TOOLS}
            first = await chat(server.url, QUESTION, **talk)
            called = next(chunk for chunk in first.chunks if chunk.get("toolCallId") == "call_oslo")
            assert called == {"type": "tool-input-start", "toolCallId": "call_oslo", "toolName": "weather"}
            calls = [chunk for chunk in first.chunks if chunk["type"] == "tool-input-available"]
            call = next(chunk for chunk in calls if chunk["toolCallId"] == "call_oslo")
            assert "providerExecuted" not in call
            output = {"type": "tool-weather", "toolCallId": "call_oslo", "input": call["input"], "output": "rain"}
            answered = said_by("assistant", {**output, "state": "output-available"}, message_id="a")
            if is_alone:
                second = await chat(server.url, message=answered, **talk)
            else:
                second = await chat(server.url, QUESTION, answered, **talk)
    assert second.text == "Yes."
    assert said(provider.exchanges[1].body["messages"])[2:] == [
        "assistant:  add(call_own) weather(call_oslo)",
        "tool(call_own): the sum is 3",
        "tool(call_oslo): rain",
    ], "with the state that was kept"
