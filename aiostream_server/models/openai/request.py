"""The body of one chat-completions request: the options that the provider accepts, the messages, and the tools.

OpenAI's reasoning models take `max_completion_tokens` and no `temperature`, most other servers know only `max_tokens`,
and some refuse any unknown option. `AcceptedOptions` starts from the model's name and learns each refusal once.
https://platform.openai.com/docs/api-reference/chat/create
"""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from autogen_core.models import AssistantMessage, LLMMessage, ModelFamily
from autogen_core.tools import ToolSchema

from aiostream_server.config.providers import MessageNames
from aiostream_server.models.families import MessageRule
from aiostream_server.models.openai.accepted_messages import TAKES_ALL, MessageDialect
from aiostream_server.models.openai.messages import wire_messages, without_surrogates
from aiostream_server.models.openai.sequences import Wire
from aiostream_server.models.provider import ModelRequest, ToolChoice

_BOUNDS: Final = ("max_tokens", "max_completion_tokens")
_DISPENSABLE: Final = ("stream_options", *_BOUNDS, "temperature", "top_p", "presence_penalty", "frequency_penalty")
_REASONING: Final = (ModelFamily.GPT_5, ModelFamily.O1, ModelFamily.O3, ModelFamily.O4)

# A refusal of the option itself. "must be at most 2" refuses a value, which the user has to correct.
_REFUSAL: Final = re.compile(
    r"unsupported|not support|unknown|unrecognized|unexpected|not (?:permitted|allowed)|extra_forbidden", re.IGNORECASE
)

_log = structlog.get_logger()


def request_body(
    model: str,
    options: Mapping[str, Any],
    request: ModelRequest,
    names: MessageNames = "none",
    dialect: MessageDialect = TAKES_ALL,
) -> bytes:
    """The body with the accepted `options`; as in the `openai` package, `extra_body` is merged, `timeout` dropped.

    The request's `json_output` is not read: `OutputFormats` has made an option of it.
    """
    body: Wire = {**options, **(options.get("extra_body") or {})}
    for name in ("extra_body", "timeout"):
        body.pop(name, None)
    messages = wire_messages(request.messages, names, request.kept, dialect)
    body |= {"model": model, "messages": messages, "stream": True}
    tools, choice = request.tools, request.tool_choice
    if not tools and MessageRule.TOOLS_NAMED in dialect.rules and (called := _called(request.messages)):
        tools = _named_again(request.offered, called)
        choice = "auto" if MessageRule.NO_TOOL_CHOICE in dialect.rules else "none"
    if tools:
        body["tools"] = [_tool(schema) for schema in tools]
        if choice != "auto":
            body["tool_choice"] = _tool_choice(choice)
    try:
        return msgspec.json.encode(body)
    except UnicodeEncodeError:
        return msgspec.json.encode(without_surrogates(body))


def _called(messages: Sequence[LLMMessage]) -> list[str]:
    """The names of the tools that the messages call."""
    called = [
        call.name
        for message in messages
        if isinstance(message, AssistantMessage) and not isinstance(message.content, str)
        for call in message.content
    ]
    return list(dict.fromkeys(called))


def _named_again(offered: Sequence[ToolSchema], called: Sequence[str]) -> list[ToolSchema]:
    """The tools of earlier requests, and what is known of others that were called."""
    tools = {schema["name"]: schema for schema in offered}
    return [*tools.values(), *(ToolSchema(name=name) for name in called if name not in tools)]


def _tool(schema: ToolSchema) -> Wire:
    function: Wire = {
        "name": schema["name"],
        "description": schema.get("description", ""),
        "parameters": schema.get("parameters", {"type": "object", "properties": {}}),
    }
    if schema.get("strict"):
        function["strict"] = True
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> str | Wire:
    if choice in ("required", "none"):
        return choice
    return {"type": "function", "function": {"name": choice}}


class AcceptedOptions:
    """The options of one provider's model; `family` is AutoGen's name of the model family."""

    def __init__(self, family: str, configured: Mapping[str, Any]) -> None:
        is_new = family in _REASONING or "max_completion_tokens" in configured
        self._bounds = _BOUNDS[::-1] if is_new else _BOUNDS
        self._configured = configured
        self._refused: set[str] = set()

    def options(self, requested: Mapping[str, Any]) -> Wire:
        """The configured options, overridden by the request's, with one bound on the answer's length."""
        options: Wire = {"stream_options": {"include_usage": True}, **self._configured, **requested}
        bounds = (asked.get(name) for asked in (requested, self._configured) for name in self._bounds)
        bound = next((bound for bound in bounds if bound is not None), None)
        name = next((name for name in self._bounds if name not in self._refused), None)
        dropped = {*self._refused, *_BOUNDS}
        options = {key: value for key, value in options.items() if key not in dropped}
        return options if bound is None or name is None else {**options, name: bound}

    def learn(self, sent: Container[str], status: int, error: bytes) -> bool:
        """Learn from a refusal of the `sent` options; whether the same request would now be sent differently."""
        if status not in (400, 422):
            return False
        text = error.decode("utf-8", "replace")
        named = {name for name in _DISPENSABLE if name in sent and re.search(rf"\b{name}\b", text)}
        if not _REFUSAL.search(text):
            named &= {"stream_options"}  # our own option: it can be dropped whatever is wrong with it
        for name in sorted(named - self._refused):
            _log.warning("model_option_refused", option=name)
        self._refused |= named
        return bool(named)
