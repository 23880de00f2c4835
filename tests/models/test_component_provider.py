"""Any AutoGen component is a provider: what it streams is streamed, and nothing is said twice."""

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import pytest
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    CreateResult,
    FinishReasons,
    LLMMessage,
    ModelCapabilities,
    ModelInfo,
    RequestUsage,
    UserMessage,
)
from autogen_core.tools import Tool, ToolSchema
from pydantic import BaseModel, SecretStr

from aiostream_server.errors import ModelFailed
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.component_provider import ComponentProvider, load_component
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, TextDelta, ThoughtDelta
from tests.kit.scripted_provider import Call, ScriptedAnswer, ScriptedProvider, Stall, Think

REQUEST = ModelRequest([UserMessage(content="hello", source="user")])
REPLAY: dict[str, Any] = {
    "provider": "autogen_ext.models.replay.ReplayChatCompletionClient",
    "config": {"chat_completions": ["Hello there world", "again"]},
}
INFO = ModelInfo(vision=False, function_calling=True, json_output=True, family="x", structured_output=True)


class PlayedClient(ChatCompletionClient):
    """A third party's client that plays its items, raising those that are exceptions; without any it cannot stream."""

    def __init__(self, *items: str | CreateResult | BaseException, whole: CreateResult | None = None) -> None:
        self._items = items
        self._whole = whole
        self.asked: Mapping[str, Any] = {}

    async def create(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> CreateResult:
        assert self._whole is not None
        return self._whole

    async def create_stream(
        self,
        messages: Sequence[LLMMessage],
        *,
        tools: Sequence[Tool | ToolSchema] = (),
        tool_choice: Tool | Literal["auto", "required", "none"] = "auto",
        json_output: bool | type[BaseModel] | None = None,
        extra_create_args: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
    ) -> AsyncGenerator[str | CreateResult, None]:
        self.asked = {"tools": tools, "tool_choice": tool_choice, "json": json_output, "extra": extra_create_args}
        for item in self._items:
            if isinstance(item, BaseException):
                raise item
            yield item
        if self._whole is not None:
            raise NotImplementedError

    async def close(self) -> None:
        """Nothing is open."""

    def actual_usage(self) -> RequestUsage:
        return RequestUsage(0, 0)

    total_usage = actual_usage

    def count_tokens(self, messages: Sequence[LLMMessage], *, tools: Sequence[Tool | ToolSchema] = ()) -> int:
        return 0

    remaining_tokens = count_tokens

    @property
    def capabilities(self) -> ModelCapabilities:
        return INFO

    @property
    def model_info(self) -> ModelInfo:
        return INFO


def result(
    content: str | list[FunctionCall], thought: str | None = None, usage: int = 0, finish: FinishReasons = "stop"
) -> CreateResult:
    return CreateResult(
        content=content, thought=thought, usage=RequestUsage(usage, usage), finish_reason=finish, cached=False
    )


async def read(client: ChatCompletionClient, request: ModelRequest = REQUEST) -> list[Delta]:
    async with aclosing(ComponentProvider(client).stream(request)) as batches:
        return [delta async for batch in batches for delta in batch]


CALL = FunctionCall("1", "{}", "f")


@pytest.mark.parametrize(
    ("items", "deltas"),
    [
        (["a", "", "b", result("ab", usage=2)], [TextDelta("a"), TextDelta("b"), End("stop", RequestUsage(2, 2))]),
        ([result("whole")], [TextDelta("whole"), End("stop")]),
        ([result("")], [End("stop")]),
        ([result("a", "why")], [ThoughtDelta("why"), TextDelta("a"), End("stop")]),
        (
            ["<think>let me think</think>", "a", result("a", "let me ")],  # cut by AutoGen's own client
            [TextDelta("<think>let me think</think>"), TextDelta("a"), End("stop")],
        ),
        (["<think>why</think>", result("a", "why")], [TextDelta("<think>why</think>"), TextDelta("a"), End("stop")]),
        (["<think>why", result("a", "why")], [TextDelta("<think>why"), TextDelta("a"), End("stop")]),
        (["a", result("a", "why")], [TextDelta("a"), ThoughtDelta("why"), End("stop")]),
        (
            ["Let me.", result([CALL], "Let me.", finish="function_calls")],
            [TextDelta("Let me."), CallDelta(0, "1", "f", "{}"), End("function_calls")],
        ),
    ],
)
async def test_nothing_is_said_twice_or_lost(items: Sequence[str | CreateResult], deltas: Sequence[Delta]) -> None:
    assert await read(PlayedClient(*items)) == deltas


async def test_client_that_cannot_stream() -> None:
    """Its answer comes when it is done, with no pretended streaming."""
    assert await read(PlayedClient(whole=result("all"))) == [TextDelta("all"), End("stop")]


class RateLimitError(Exception):
    """As `openai` has one."""


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([RateLimitError("too fast\nTraceback (most recent call last)")], "RateLimitError: too fast"),
        (["a", RateLimitError("x" * 1000)], "RateLimitError: " + "x" * 300),
        ([RateLimitError()], "RateLimitError"),
        ([FileNotFoundError(2, "No such file", "/secret/path")], "FileNotFoundError: No such file"),
        (["a", NotImplementedError("half of it")], "NotImplementedError: half of it"),
        ([ModelFailed("ours")], "ours"),
        ([asyncio.CancelledError()], "the model's client gave up: CancelledError"),
        (["a"], "the model's client ended its stream without a result"),
    ],
)
async def test_failures_are_one_readable_line(items: Sequence[str | BaseException], message: str) -> None:
    """No traceback and no path; a cancellation that the client raises itself is a failure, else AutoGen would hang."""
    with pytest.raises(ModelFailed) as failure:
        await read(PlayedClient(*items))
    assert str(failure.value) == message


async def test_request_is_handed_on() -> None:
    """A tool that is chosen by name becomes the only one, and required."""
    client = PlayedClient(result("a"))
    tools: list[ToolSchema] = [{"name": "f"}, {"name": "g"}]
    await read(client, ModelRequest(REQUEST.messages, tools, "g", options={"seed": 1}))
    assert client.asked == {"tools": [{"name": "g"}], "tool_choice": "required", "json": None, "extra": {"seed": 1}}
    await read(client, ModelRequest(REQUEST.messages, tools, "none", json_output=True))
    assert client.asked == {"tools": tools, "tool_choice": "none", "json": True, "extra": {}}


@pytest.mark.parametrize("inline", [True, False])
async def test_loaded_from_a_component(inline: bool, tmp_path: Path) -> None:
    """From the table itself, or from its JSON file."""
    file = tmp_path / "model.json"
    file.write_text(json.dumps(REPLAY))
    provider = load_component(REPLAY if inline else file)
    client = StreamingClient(provider)
    items = [item async for item in client.create_stream(REQUEST.messages)]
    await client.close()
    assert items[:-1] == ["Hello ", "there ", "world"]
    assert client.model_info["family"] == "unknown"


@pytest.mark.parametrize(
    ("component", "message"),
    [
        ({"provider": "no.such.Thing", "config": {}}, "No module named 'no'"),
        ({"config": {}}, "provider: Field required"),
        ({**REPLAY, "config": {}}, "chat_completions: Field required"),
        (Path("/nowhere.json"), "/nowhere.json: FileNotFoundError: No such file or directory"),
    ],
)
def test_component_that_cannot_be_loaded(component: dict[str, Any] | Path, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_component(component)


OPENAI = "autogen_ext.models.openai.OpenAIChatCompletionClient"


async def test_autogens_own_openai_client() -> None:
    """Reasoning, text and calls through a client that is not ours; and cancelling closes its connection.

    `load_component` would put ours in its place.
    """
    async with ScriptedProvider() as scripted:
        scripted.script(ScriptedAnswer(Think(["let me ", "think"]), "Hi", Call("f")), ScriptedAnswer("a", Stall()))
        config = {"model": "m", "base_url": scripted.base_url, "api_key": "k", "model_info": dict(INFO)}
        theirs = ChatCompletionClient.load_component({"provider": OPENAI, "config": config})
        client = StreamingClient(ComponentProvider(theirs))
        answer = await client.create(REQUEST.messages, tools=[{"name": "f"}])
        assert isinstance(answer.content, list)
        assert answer.content[0].name == "f"
        assert answer.thought == "let me think\n\nHi"
        caller = asyncio.create_task(client.create(REQUEST.messages))
        await (await scripted.request(2)).sent(1)
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        await asyncio.wait_for(scripted.exchanges[1].closed.wait(), 10)
        await client.close()


async def test_ours_takes_the_place_of_autogens_openai_client() -> None:
    """With the key that is configured beside the component, where it has none."""
    async with ScriptedProvider() as scripted:
        scripted.script(ScriptedAnswer("hi"))
        config = {"model": "m", "base_url": scripted.base_url, "api_key": "**********"}
        provider = load_component({"provider": OPENAI, "config": config}, SecretStr("k"))
        assert isinstance(provider, OpenAIProvider)
        assert (await StreamingClient(provider).create(REQUEST.messages)).content == "hi"
        await provider.close()
        assert scripted.exchanges[0].headers["Authorization"] == "Bearer k"
