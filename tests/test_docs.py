"""The examples in docs/openai-api.md are what the program says."""

import json
import re
from pathlib import Path
from typing import Any

import aiohttp

from aiostream_server.config.load import load_config
from tests.kit.serving import ask, chat_body, serving

DOC = (Path(__file__).parents[1] / "docs" / "openai-api.md").read_text("utf-8")
QUESTION = "What is 15% of 850?"


def _without_names(body: dict[str, Any]) -> dict[str, Any]:
    """But for what is another each time."""
    return {name: value for name, value in body.items() if name not in ("id", "created")}


async def test_the_stream(tmp_path: Path) -> None:
    shown = [json.loads(line) for line in re.findall(r'^data: (\{"id".*)$', DOC, re.MULTILINE)]
    async with serving(load_config(None, {}), tmp_path) as server:
        answer = await ask(server.url, QUESTION, stream_options={"include_usage": True})
    assert [_without_names(frame) for frame in shown] == [_without_names(frame) for frame in answer.frames]


async def test_the_completion(tmp_path: Path) -> None:
    match = re.search(r'^```json\n(\{\n  "id".*?)^```', DOC, re.MULTILINE | re.DOTALL)
    assert match
    async with (
        serving(load_config(None, {}), tmp_path) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=chat_body(QUESTION) | {"stream": False}) as response,
    ):
        body = await response.json()
    assert _without_names(json.loads(match[1])) == _without_names(body)
