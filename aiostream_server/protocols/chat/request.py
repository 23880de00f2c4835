"""OpenAI's chat completion request, as far as this server reads it, and the question it asks.

`docs/openai-api.md` says what becomes of every field; ignored ones are not even looked at. Ranges are OpenAI's:
https://platform.openai.com/docs/api-reference/chat/create
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, LiteralString, TypeAlias, assert_never, get_args

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import Shape
from aiostream_server.intake.question import ImagePart, Question, ToolCall, Turn, question_of
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.protocols.chat import messages as chat
from aiostream_server.protocols.chat.answer_form import FunctionCall, ResponseFormat, ToolChoice, Tools, read_form
from aiostream_server.protocols.chat.client_tools import read_client_tools, read_tool_choice


def _integer(value: object) -> object:
    """Languages without integers send `1.0`."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _bound(value: object) -> object:
    """Programs send 0 or -1 for "no bound", and forms send text."""
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        value = int(value)
    value = _integer(value)
    return None if value in (0, -1) and not isinstance(value, bool) else value


_DIGITS: Final = re.compile(r"-1|[0-9]{1,9}")
_BOUND_SCHEMA: Final = {
    "anyOf": [
        {"type": "integer", "minimum": -1, "description": "0 and -1: no bound."},
        {"type": "string", "pattern": f"^({_DIGITS.pattern})$"},
    ]
}
_Integer: TypeAlias = Annotated[int, BeforeValidator(_integer)]
TokenBound: TypeAlias = Annotated[
    Annotated[int, Field(ge=1)] | None, BeforeValidator(_bound), WithJsonSchema(_BOUND_SCHEMA)
]
_Penalty: TypeAlias = Annotated[float, Field(ge=-2, le=2)]
_TEXTS: Final = {"type": "array", "items": {"const": "text"}}
_NOT_EMPTY: Final = BeforeValidator(lambda value: None if value == "" else value)
_Effort: TypeAlias = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
_Level: TypeAlias = Literal["low", "medium", "high"]
ReasoningEffort: TypeAlias = Annotated[
    _Effort | None, _NOT_EMPTY, WithJsonSchema({"type": "string", "enum": ["", *get_args(_Effort)]})
]
Verbosity: TypeAlias = Annotated[
    _Level | None, _NOT_EMPTY, WithJsonSchema({"type": "string", "enum": ["", *get_args(_Level)]})
]


def _only(allowed: Callable[[Any], bool], otherwise: LiteralString) -> AfterValidator:
    """Refuses a value that is not allowed, with the message `otherwise`."""

    def check(value: object) -> object:
        if not allowed(value):
            raise PydanticCustomError("refused", otherwise)
        return value

    return AfterValidator(check)


_ONE: Final = _only(lambda n: n == 1, "one answer is given per request: send 1, or leave it out")
_TEXTS_ONLY: Final = _only(lambda names: {*names} <= {"text"}, "the answer is text: send ['text'], or leave it out")
_ABSENT: Final = _only(lambda _: False, "the answer is text: leave it out")
PASSED_ON: Final = (
    "temperature",
    "top_p",
    "seed",
    "presence_penalty",
    "frequency_penalty",
    "reasoning_effort",
    "verbosity",
)
"""The fields that the team's model gets as they are."""


class StreamOptions(Shape):
    include_usage: bool = False


class ChatRequest(Shape):
    """A request that can be answered. Types are strict, except that a bound of tokens may be text: no other string is a
    number, no number a boolean. An empty word is the same as an absent one."""

    model_config = ConfigDict(json_schema_extra={"description": "Fields that are not listed are ignored."})

    model: Annotated[str, Field(min_length=1, description="A team's id, or `auto`.", examples=["auto"])]
    messages: chat.Messages
    stream: bool = False
    stream_options: StreamOptions = StreamOptions()
    n: Annotated[_Integer, _ONE, WithJsonSchema({"type": "integer", "const": 1})] = 1
    max_tokens: TokenBound = None
    max_completion_tokens: TokenBound = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63), BeforeValidator(_integer)] | None = None
    presence_penalty: _Penalty | None = None
    frequency_penalty: _Penalty | None = None
    reasoning_effort: ReasoningEffort = None
    verbosity: Verbosity = None
    response_format: ResponseFormat | None = None
    tools: Tools = None
    tool_choice: ToolChoice = None
    parallel_tool_calls: bool | None = None
    function_call: FunctionCall = None
    modalities: Annotated[tuple[str, ...], Field(strict=False), _TEXTS_ONLY, WithJsonSchema(_TEXTS)] = ("text",)
    audio: Annotated[object, _ABSENT, WithJsonSchema({"type": "null"})] = None

    @property
    def output_bound(self) -> int | None:
        """How many tokens the whole run may write; None where the client does not say."""
        bounds = [bound for bound in (self.max_tokens, self.max_completion_tokens) if bound is not None]
        return min(bounds, default=None)


def read_question(request: ChatRequest, *, is_chained: bool = False) -> Question:
    """Raise `InvalidRequest` where there is nothing to answer. `is_chained`: the server has the earlier messages."""
    if not is_chained:
        _check_tool_results(request.messages)
    turns = tuple(_turn(message) for message in request.messages)
    if turns[-1].role == "assistant":
        turns = (*turns[:-1], _with_its_end(turns[-1], request.messages[-1]))
    options = {name: value for name in PASSED_ON if (value := getattr(request, name)) is not None}
    choice = read_tool_choice(request.tool_choice, request.parallel_tool_calls)
    form = read_form(request.response_format, request.tools, choice, request.function_call)
    tools = read_client_tools(request.tools)
    return question_of(turns, options, request.output_bound, form, tools, choice, is_chained=is_chained)


def _check_tool_results(messages: Sequence[chat.ChatMessage]) -> None:
    """A tool message must answer a call of the assistant message before it: the provider would refuse it later."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if isinstance(message, chat.AssistantMessage):
            open_calls = {call.id for call in message.tool_calls}
        elif isinstance(message, chat.ToolMessage):
            if message.tool_call_id not in open_calls:
                problem = "no tool call of the assistant message before it has this id"
                param = f"messages[{index}].tool_call_id"
                raise InvalidRequest(f"{param}: {problem}", param=param)
        elif message.role in ("user", "assistant"):
            open_calls = set()


def _turn(message: chat.ChatMessage) -> Turn:
    if isinstance(message, chat.PlainMessage):  # nearly all of them
        return Turn(message.role, undecorate(message.text) if message.role == "assistant" else message.text)
    match message:
        case chat.SystemMessage():
            return Turn("system", _joined(message.content), name=message.name)
        case chat.UserMessage():
            return Turn("user", _joined(message.content), _images(message.content), message.name)
        case chat.AssistantMessage():
            return _assistant_turn(message)
        case chat.ToolMessage():
            return Turn("tool", _joined(message.content), call_id=message.tool_call_id)
        case _:
            assert_never(message)


def _assistant_turn(message: chat.AssistantMessage) -> Turn:
    text = undecorate(_joined(message.content)) or message.refusal or ""
    calls = (ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls)
    return Turn("assistant", text, name=message.name, tool_calls=tuple(calls))


def _with_its_end(turn: Turn, message: chat.ChatMessage) -> Turn:
    """The space at its end included: the answer continues from there."""
    raw = message.text if isinstance(message, chat.PlainMessage) else _joined(message.content)
    return turn._replace(text=turn.text + raw[len(raw.rstrip()) :]) if turn.text else turn


def _joined(parts: Iterable[chat.Part]) -> str:
    texts = (
        part.text if isinstance(part, chat.TextPart) else part.refusal
        for part in parts
        if not isinstance(part, chat.ImageUrlPart)
    )
    return "\n".join(texts)


def _images(parts: Iterable[chat.Part]) -> tuple[ImagePart, ...]:
    pictures = (part.image_url for part in parts if isinstance(part, chat.ImageUrlPart))
    return tuple(replace(each.url, detail=each.detail) for each in pictures)
