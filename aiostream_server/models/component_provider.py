"""Any AutoGen model client as a provider: slower than our own, but there is one for nearly every service.

Where a component names `autogen_ext`'s client for OpenAI or Azure, ours takes its place.

Building such a client blocks the event loop for up to 85 ms, so it is built once, when the models are opened. A
component is code: it names the class to import.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Final

from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo
from autogen_core.tools import ToolSchema
from pydantic import SecretStr, ValidationError

from aiostream_server.errors import ModelFailed, ServerError
from aiostream_server.models.openai.component import ComponentClient, replace_model_components
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, Provider, TextDelta, ThoughtDelta

_MAX_MESSAGE: Final = 300
_THOUGHTS: Final = re.compile(r"<(think(?:ing)?)>.*?(?:</\1>|\Z)", re.DOTALL)


def load_component(component: dict[str, Any] | Path, api_key: SecretStr | None = None) -> Provider:
    """From the component itself, or from its JSON file; `api_key` is for an OpenAI component that has none.

    Raises `ValueError`, which says what is wrong with it.
    """
    try:
        loaded = json.loads(component.read_text("utf-8")) if isinstance(component, Path) else component
        client = ChatCompletionClient.load_component(replace_model_components(loaded, api_key=api_key))
    except ValidationError as error:
        raise ValueError("; ".join(f"{_path(at['loc'])}: {at['msg']}" for at in error.errors())) from error
    except Exception as error:  # whatever the component's own code raises
        where = f"{component}: " if isinstance(component, Path) else ""
        raise ValueError(f"{where}{_first_line(error)}") from error
    return client.provider if isinstance(client, ComponentClient) else ComponentProvider(client)


class ComponentProvider:
    """Owns the client, and closes it."""

    def __init__(self, client: ChatCompletionClient) -> None:
        self._client = client

    @property
    def model_info(self) -> ModelInfo:
        return self._client.model_info

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        streamed: list[str] = []
        async with aclosing(self._items(request)) as items:
            while True:
                with _failures():
                    item = await anext(items)
                if isinstance(item, CreateResult):
                    yield _last_deltas(item, "".join(streamed))
                    return
                if item:
                    streamed.append(item)
                    yield [TextDelta(item)]

    async def close(self) -> None:
        await self._client.close()

    async def _items(self, request: ModelRequest) -> AsyncGenerator[str | CreateResult, None]:
        """The client's own stream, or its one result where it cannot stream. Cancelling the task cancels either."""
        arguments, begun = _arguments(request), False
        try:
            async with aclosing(self._client.create_stream(**arguments)) as items:
                async for item in items:
                    begun = True
                    yield item
        except NotImplementedError:
            if begun:
                raise
            yield await self._client.create(**arguments)


def _arguments(request: ModelRequest) -> dict[str, Any]:
    """A tool chosen by its name becomes the only tool, and required: AutoGen would want the tool's object."""
    tools: Sequence[ToolSchema] = request.tools
    choice = request.tool_choice
    if choice not in ("auto", "required", "none"):
        tools, choice = [tool for tool in tools if tool["name"] == choice], "required"
    return {
        "messages": request.messages,
        "tools": tools,
        "tool_choice": choice,
        "json_output": request.json_output or None,
        "extra_create_args": request.options,
    }


def _last_deltas(result: CreateResult, streamed: str) -> list[Delta]:
    """What the result holds beyond what was streamed. Some clients cut off a thought's ends: its middle will do."""
    deltas: list[Delta] = []
    if result.thought and result.thought.strip() not in streamed:
        deltas.append(ThoughtDelta(result.thought))
    if not isinstance(result.content, str):
        deltas.extend(
            CallDelta(number, call.id, call.name, call.arguments) for number, call in enumerate(result.content)
        )
    elif result.content and not _THOUGHTS.sub("", streamed).strip():
        deltas.append(TextDelta(result.content))
    said = result.usage.prompt_tokens or result.usage.completion_tokens
    deltas.append(End(result.finish_reason, result.usage if said else None, result.logprobs))
    return deltas


@contextmanager
def _failures() -> Iterator[None]:
    """The errors of any library as ours."""
    try:
        yield
    except ServerError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # Nobody cancelled this call. As a cancellation it would stop AutoGen's runtime without a word.
        raise ModelFailed("the model's client gave up: CancelledError") from error
    except StopAsyncIteration as error:
        raise ModelFailed("the model's client ended its stream without a result") from error
    except Exception as error:  # whatever class it is
        raise ModelFailed(_first_line(error)) from error


def _path(parts: tuple[int | str, ...]) -> str:
    return ".".join(map(str, parts))


def _first_line(error: Exception) -> str:
    """`RateLimitError: ...`: no traceback, no path."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = next(iter(text.strip().splitlines()), "")[:_MAX_MESSAGE]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
