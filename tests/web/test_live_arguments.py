"""The arguments of a tool call are seen while the model writes them: of the team's own tools, and of the client's."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.kit.scripted_provider import Call, Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import chat_body, serving
from tests.web.test_client_tools import calling

Json = Mapping[str, Any]
TOOL: Final[Json] = {"name": "weather", "description": "The weather.", "parameters": {"type": "object"}}
ASKED: Final[Mapping[str, Json]] = {
    "/v1/runs": chat_body("hi", model="lone", tools=[{"type": "function", "function": TOOL}]),
    "/v1/ag-ui/lone": {
        "threadId": "t",
        "runId": "r",
        "messages": [{"id": "m", "role": "user", "content": "hi"}],
        "tools": [TOOL],
    },
    "/v1/ai-sdk/lone": {
        "messages": [{"role": "user", "parts": [{"type": "text", "text": "hi"}]}],
        "tools": {"weather": {"parameters": TOOL["parameters"]}},
    },
}
PIECES: Final[Mapping[str, Callable[[Json], str | None]]] = {
    "/v1/runs": lambda event: event["content"] if event["type"] == "action_token" else None,
    "/v1/ag-ui/lone": lambda event: event["delta"] if event["type"] == "TOOL_CALL_ARGS" else None,
    "/v1/ai-sdk/lone": lambda chunk: chunk["inputTextDelta"] if chunk["type"] == "tool-input-delta" else None,
}


def written(name: str, *parts: str | Gate) -> Sequence[Call | Gate]:
    return [part if isinstance(part, Gate) else Call(name, part, "call_1", pieces=2) for part in parts]


@pytest.mark.parametrize("path", PIECES)
@pytest.mark.parametrize("tool", ["add", "weather"])
async def test_arguments_are_told_as_they_come(tmp_path: Path, path: str, tool: str) -> None:
    gate, arguments = Gate(), ('{"first": 1, ', '"second": 2}')
    told: list[str] = []
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*written(tool, arguments[0], gate, arguments[1])), ScriptedAnswer("3"))
        async with (
            serving(calling(provider, "lone"), tmp_path) as server,
            aiohttp.ClientSession() as session,
            session.post(f"{server.url}{path}", json=ASKED[path]) as response,
        ):
            async for line in response.content:
                if line.startswith(b"data: {") and (piece := PIECES[path](json.loads(line[6:]))) is not None:
                    told.append(piece)
                    if "".join(told) == arguments[0]:
                        assert not provider.exchanges[0].complete
                        gate.open()
    assert "".join(told) == "".join(arguments)
