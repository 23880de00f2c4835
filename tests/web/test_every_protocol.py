"""What all protocols have to do alike, and each in its own words."""

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import aiohttp

from aiostream_server.errors import ShuttingDown
from tests.kit.scripted_provider import Gate, ScriptedAnswer
from tests.kit.waiting import wait_for
from tests.web.every_protocol import WAYS, Way
from tests.web.watching import solo

SAID: Final = str(ShuttingDown())
LAST_WORDS: Final[Mapping[str, Callable[[Any], object]]] = {
    "chat": lambda last: (last["choices"][0]["finish_reason"], last["error"]["code"]) == ("error", "shutting_down"),
    "responses": lambda last: last["type"] == "response.failed" and last["response"]["error"]["message"] == SAID,
    "runs": lambda last: (last["type"], last["reason"]) == ("run_finished", "interrupted"),
    "ai_sdk": lambda last: last == {"type": "error", "errorText": SAID},
    "ag_ui": lambda last: (last["type"], last["code"]) == ("RUN_ERROR", "shutting_down"),
    "a2a": lambda last: last["result"]["statusUpdate"]["status"]["state"] == "TASK_STATE_FAILED",
    "mcp": lambda last: last["result"]["isError"] and SAID in last["result"]["content"][0]["text"],
}


def asking(session: aiohttp.ClientSession, url: str, way: Way) -> Any:
    return session.post(f"{url}{way.path}", json=way.body, headers=way.headers)


def frames_of(stream: bytes) -> list[Any]:
    lines = [line[6:] for line in stream.decode().splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def why_refused(status: int, retry_after: str | None, body: Any) -> object:
    """The code, as the protocol names it. A model that calls a tool is told why in the call's result."""
    if "result" in body:
        assert body["result"]["isError"]
        return body["result"]["content"][0]["text"]
    assert (status, retry_after) == (503, "1")
    return body["error"]["code"] if "type" in body["error"] else body["error"]["data"][0]["reason"]


async def test_a_server_that_shuts_down_says_so(tmp_path: Path) -> None:
    """To those who ask meanwhile, and in the end to those whom it was answering."""
    answers = [ScriptedAnswer("one ", Gate())] * len(WAYS)
    async with solo(tmp_path, *answers) as server, aiohttp.ClientSession() as session, AsyncExitStack() as stack:
        streams = {name: await stack.enter_async_context(asking(session, server.url, WAYS[name])) for name in WAYS}
        await wait_for(lambda: server.state.registry.viewers == len(WAYS), "each of them is answered")
        draining = asyncio.create_task(server.state.registry.drain())
        await wait_for(lambda: server.state.registry.is_closing, "it takes no more")
        refused = {}
        for name, way in WAYS.items():
            again = Way(way.path, json.loads(json.dumps(way.body).replace('"hi"', '"again"')), way.headers)
            async with asking(session, server.url, again) as answer:
                refused[name] = answer.status, answer.headers.get("Retry-After"), await answer.json()
        assert not draining.done()
        await server.state.registry.close()
        last = {name: frames_of(await stream.read())[-1] for name, stream in streams.items()}
        await draining
    assert {name: why_refused(*told) for name, told in refused.items()} == {
        **dict.fromkeys(WAYS, "shutting_down"),
        "a2a": "SHUTTING_DOWN",
        "mcp": SAID,
    }
    assert [name for name, says in LAST_WORDS.items() if not says(last[name])] == []
