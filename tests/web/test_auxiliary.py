"""An auxiliary question is answered like any other, over a real socket, without a run."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from structlog.testing import capture_logs

from aiostream_server.config.load import load_config
from tests.kit.serving import ServedAnswer, Server, serving
from tests.routing.auxiliary.app_prompts import PROMPTS, QUESTION, Prompt
from tests.routing.auxiliary.cases import rendered

_TITLE = rendered("0_12_4 generate_title short").body
_MERGE = rendered("0_12_4 generate_moa_response True long").body


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    async with serving(load_config(None, {}), tmp_path) as started:
        yield started


@pytest.fixture
async def url(server: Server) -> str:
    return f"{server.url}/v1/chat/completions"


async def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert response.status == 200
        assert response.content_type == "application/json"
        assert "X-Run-Id" not in response.headers
        completion: dict[str, Any] = await response.json()
        return completion


async def _stream(url: str, body: dict[str, Any]) -> ServedAnswer:
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        assert response.content_type == "text/event-stream"
        return await ServedAnswer(response).read_all()


async def test_a_whole_answer_is_a_completion_of_the_model_that_was_asked(url: str) -> None:
    completion = await _post(url, {**_TITLE, "model": "auto"})
    assert completion["object"] == "chat.completion"
    assert completion["model"] == "auto"
    assert completion["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    (choice,) = completion["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["role"] == "assistant"
    assert json.loads(choice["message"]["content"]) == {"title": "What were our total sales by…"}


async def test_a_merge_is_streamed_as_its_page_asks_for_it(url: str) -> None:
    answer = await _stream(url, _MERGE)
    whole = await _post(url, {**_MERGE, "stream": False})
    assert answer.done
    assert answer.finish_reasons == ["stop"]
    assert answer.text == whole["choices"][0]["message"]["content"]
    assert answer.text.startswith("Region 0 sold 0 units")
    assert not [frame for frame in answer.frames if "usage" in frame]


async def test_usage_is_streamed_where_it_is_asked_for(url: str) -> None:
    answer = await _stream(url, {**_MERGE, "stream_options": {"include_usage": True}})
    assert answer.frames[-1]["choices"] == []
    assert answer.frames[-1]["usage"]["total_tokens"] == 0


async def test_no_line_of_a_long_answer_is_longer_than_clients_take(url: str) -> None:
    prompt = _MERGE["messages"][0]["content"].replace("Short.", "ü🙂" * 40_000)
    async with aiohttp.ClientSession() as session:
        body = {**_MERGE, "messages": [{"role": "user", "content": prompt}]}
        async with session.post(url, json=body) as response:
            lines = [line async for line in response.content]
    assert max(map(len, lines)) < 64 * 1024


async def test_the_log_has_one_line_and_no_content(url: str) -> None:
    with capture_logs() as logs:
        await _post(url, _TITLE)
    (line,) = logs
    assert 0 <= line.pop("seconds") < 30
    assert line == {"event": "auxiliary_answered", "kind": "title_generation", "by": "rules", "log_level": "info"}


async def test_a_client_that_leaves_breaks_nothing(url: str) -> None:
    prompt = _MERGE["messages"][0]["content"].replace("Short.", "x" * 1_000_000)
    body = {**_MERGE, "messages": [{"role": "user", "content": prompt}]}
    async with aiohttp.ClientSession() as session, session.post(url, json=body) as response:
        await response.content.readline()
        response.close()
    assert (await _post(url, _TITLE))["choices"]


async def test_a_title_for_a_named_team_knows_the_team_and_starts_no_run(server: Server, url: str) -> None:
    tags = rendered("0_12_4 generate_chat_tags short").body
    completion = await _post(url, {**tags, "model": "data"})
    assert json.loads(completion["choices"][0]["message"]["content"]) == {"tags": ["Data analysis"]}
    assert server.state.registry.ended == len(server.state.registry) == 0


async def test_the_task_header_says_what_is_asked(server: Server) -> None:
    title = {**_TITLE, "model": "auto"}
    for header, is_auxiliary in (("", False), ("title_generation", True)):
        async with (
            aiohttp.ClientSession(headers={"X-OpenWebUI-Task": header}) as session,
            session.post(f"{server.url}/v1/chat/completions", json=title) as response,
        ):
            assert response.status == 200
            assert ("X-Run-Id" not in response.headers) is is_auxiliary


@pytest.mark.parametrize("prompt", PROMPTS[::9], ids=[prompt.name for prompt in PROMPTS[::9]])
async def test_other_apps_get_no_run_and_leave_no_turn(server: Server, url: str, prompt: Prompt) -> None:
    body = {"model": "data", "messages": prompt.messages}
    async with (
        aiohttp.ClientSession(headers={"X-Conversation-Id": "c1"}) as session,
        session.post(url, json=body) as response,
    ):
        assert response.status == 200
        assert "X-Run-Id" not in response.headers
        answer = (await response.json())["choices"][0]["message"]["content"]
    assert "Data analysis" not in answer or prompt.kind == "plain_tags"
    streamed = await _stream(url, {**body, "stream": True})
    assert streamed.text == answer
    assert streamed.finish_reasons == ["stop"]
    assert server.state.registry.ended == len(server.state.registry) == 0


async def test_a_forced_tool_is_called_with_the_title(url: str) -> None:
    """LibreChat's `titleMethod` "functions"."""
    parameters = {"type": "object", "properties": {"title": {"type": "string"}}, "required": ["title"]}
    tool = {"type": "function", "function": {"name": "extract", "parameters": parameters}}
    choice = {"type": "function", "function": {"name": "extract"}}
    body = {"model": "auto", "messages": PROMPTS[0].messages, "tools": [tool], "tool_choice": choice}
    (answered,) = (await _post(url, body))["choices"]
    (call,) = answered["message"]["tool_calls"]
    assert call["function"] == {"name": "extract", "arguments": f'{{"title": "{QUESTION}"}}'}
    streamed = await _stream(url, {**body, "stream": True})
    calls = [call for frame in streamed.frames for call in frame["choices"][0]["delta"].get("tool_calls", ())]
    assert "".join(call["function"]["arguments"] for call in calls) == call["function"]["arguments"]
