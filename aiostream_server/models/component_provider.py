"""Any AutoGen model client as a provider: slower than our own, but one exists for nearly every service.

A component is code: it names the class to import. Our client replaces `autogen_ext`'s for OpenAI and Azure. Building a
client blocks the event loop for up to 85 ms, so it is built once, when the models are opened.
"""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, Final

from autogen_core.models import ChatCompletionClient, CreateResult, ModelInfo
from autogen_core.tools import ToolSchema
from pydantic import SecretStr, ValidationError

from aiostream_server.errors import ModelFailed, RateLimited, ServerError
from aiostream_server.models.error_kinds import LASTING, error_kind
from aiostream_server.models.openai.component import ComponentClient, replace_model_components
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.openai.waits import asked_wait_s
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, Provider, TextDelta, ThoughtDelta

_MAX_MESSAGE: Final = 300
_ADDRESS: Final = re.compile(r"https?://[^\s'\"]+")
_THOUGHTS: Final = re.compile(r"<(think(?:ing)?)>.*?(?:</\1>|\Z)", re.DOTALL)


def load_component(component: dict[str, Any] | Path, api_key: SecretStr | None = None, name: str = "") -> Provider:
    """Load a component, or its JSON file; `api_key` is for an OpenAI component without a key.

    `name` is the model's in failures: `[models.default]`. Raises `ValueError`.
    """
    try:
        loaded = json.loads(component.read_text("utf-8")) if isinstance(component, Path) else component
        client = ChatCompletionClient.load_component(replace_model_components(loaded, api_key=api_key))
    except ValidationError as error:
        raise ValueError("; ".join(f"{'.'.join(map(str, at['loc']))}: {at['msg']}" for at in error.errors())) from error
    except Exception as error:  # the component's own code may raise anything
        where = f"{component}: " if isinstance(component, Path) else ""
        raise ValueError(f"{where}{_first_line(error)}") from error
    if name and isinstance(client, ComponentClient):
        return OpenAIProvider(client.table, subject=f"the model provider of {name}")
    return provider_of(client, name)


def provider_of(client: ChatCompletionClient, name: str = "") -> Provider:
    return client.provider if isinstance(client, ComponentClient) else ComponentProvider(client, name)


class ComponentProvider:
    """Owns the client, and closes it. `name` is the model's in failures."""

    def __init__(self, client: ChatCompletionClient, name: str = "") -> None:
        self._client = client
        self._subject = f"the model of {name} failed: " if name else ""

    @property
    def model_info(self) -> ModelInfo:
        return self._client.model_info

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Sequence[Delta], None]:
        streamed: list[str] = []
        async with aclosing(self._items(request)) as items:
            while True:
                with _failures(self._subject, has_begun=bool(streamed)):
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
        """The client's own stream, or its one result if it cannot stream."""
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
    """A tool chosen by name becomes the only tool, and required: AutoGen takes a tool object, not a name."""
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
    """What the result holds beyond the streamed text. Some clients strip a thought: its stripped text is compared."""
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
def _failures(subject: str, *, has_begun: bool) -> Iterator[None]:
    """Turns the errors of any library into `ModelFailed`."""
    try:
        yield
    except ServerError:
        raise
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # The client raised it itself. As a cancellation it would stop AutoGen's runtime silently.
        raise ModelFailed(f"{subject}the model's client gave up: CancelledError") from error
    except StopAsyncIteration as error:
        raise ModelFailed(f"{subject}the model's client ended its stream without a result") from error
    except Exception as error:  # libraries raise any class
        raise _failure(error, subject, has_begun=has_begun) from error


def _failure(error: Exception, subject: str, *, has_begun: bool) -> ModelFailed:
    """The kind follows from the status and the body that the clients of most services keep, or from the words."""
    status, line = getattr(error, "status_code", None), _first_line(error)
    is_http = isinstance(status, int)
    said = {"message": line, "body": getattr(error, "body", None)}
    kind = error_kind(status if isinstance(status, int) else 200, said)
    headers = getattr(getattr(error, "response", None), "headers", None)
    wait_s = asked_wait_s(headers if isinstance(headers, Mapping) else {}, str(error)) if kind is RateLimited else None
    is_lasting = kind in LASTING or (is_http and not has_begun)
    return kind(f"{subject}{line}", is_lasting=is_lasting, retry_after_s=wait_s)


def _first_line(error: Exception) -> str:
    """`RateLimitError: ...`, without traceback, path and address."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    line = _ADDRESS.sub("…", next(iter(text.strip().splitlines()), ""))[:_MAX_MESSAGE]
    return f"{type(error).__name__}: {line}" if line else type(error).__name__
