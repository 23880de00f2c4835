"""What is asked: the task, what was said before it, and how to answer. No shape of OpenAI's is seen beyond this module.

The last user message is the task. Where an assistant or a tool had the last word, the whole conversation is history and
the task is a sentence of ours. System messages are no turns of a talk: wherever they stand, they are history.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias, assert_never

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.wire import messages as wire
from aiostream_server.wire.fields import PASSED_ON
from aiostream_server.wire.request import ChatRequest

CONTINUE_TASK: Final = "Continue your last answer exactly where it stopped. Do not repeat what it already says."
TOOL_RESULT_TASK: Final = "Answer my last question, using the tool result above."

_OUR_TASKS: Final = frozenset({CONTINUE_TASK, TOOL_RESULT_TASK})

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A PNG, JPEG, GIF or WebP; `base64` is well formed."""

    media_type: str
    base64: str = field(repr=False)
    detail: wire.Detail = "auto"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of the client's own tools; `arguments` is JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str


class Turn(NamedTuple):
    """One message. Only assistant turns have `tool_calls`; only tool turns a `call_id`, the call that they answer.

    A long conversation has hundreds, with each question anew: a frozen dataclass takes three times as long to make.
    """

    role: Role
    text: str
    images: tuple[ImagePart, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """`options` are for the agents' model calls; `max_tokens` bounds what the whole run writes."""

    task: Turn
    history: tuple[Turn, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    max_tokens: int | None = None

    @property
    def asked(self) -> list[str]:
        """What the user has asked so far, oldest first, the sentences of ours left out."""
        texts = [turn.text for turn in (*self.history, self.task) if turn.role == "user"]
        return texts[:-1] if texts[-1] in _OUR_TASKS else texts


def read_question(request: ChatRequest) -> Question:
    """Raise `InvalidRequest` where there is nothing to answer."""
    _check_tool_results(request.messages)
    turns = tuple(_turn(message) for message in request.messages)
    if not any(turn.role == "user" for turn in turns):
        raise InvalidRequest("messages must contain at least one user message", param="messages")
    task, history = _split(turns)
    options = {name: value for name in PASSED_ON if (value := getattr(request, name)) is not None}
    return Question(task, history, options, request.output_bound)


def _split(turns: tuple[Turn, ...]) -> tuple[Turn, tuple[Turn, ...]]:
    """The task and what came before it."""
    last = max(index for index, turn in enumerate(turns) if turn.role != "system")
    match turns[last].role:
        case "assistant":  # Open WebUI's "Continue response"
            return Turn("user", CONTINUE_TASK), turns
        case "tool":
            return Turn("user", TOOL_RESULT_TASK), turns
        case _:
            task = turns[last]
    if not task.text.strip() and not task.images:
        raise InvalidRequest(f"messages[{last}].content: is empty", param=f"messages[{last}].content")
    return task, turns[:last] + turns[last + 1 :]


def _check_tool_results(messages: Sequence[wire.Message]) -> None:
    """A tool's message answers a call of the assistant message before it: a provider would refuse it, and later."""
    open_calls: set[str] = set()
    for index, message in enumerate(messages):
        if isinstance(message, wire.AssistantMessage):
            open_calls = {call.id for call in message.tool_calls}
        elif isinstance(message, wire.ToolMessage):
            if message.tool_call_id not in open_calls:
                problem = "no tool call of the assistant message before it has this id"
                param = f"messages[{index}].tool_call_id"
                raise InvalidRequest(f"{param}: {problem}", param=param)
        elif message.role in ("user", "assistant"):
            open_calls = set()


def _turn(message: wire.Message) -> Turn:
    if isinstance(message, wire.PlainMessage):  # nearly all of them
        return Turn(message.role, undecorate(message.text) if message.role == "assistant" else message.text)
    match message:
        case wire.SystemMessage():
            return Turn("system", _text(message.content), name=message.name)
        case wire.UserMessage():
            return Turn("user", _text(message.content), _images(message.content), message.name)
        case wire.AssistantMessage():
            return _assistant_turn(message)
        case wire.ToolMessage():
            return Turn("tool", _text(message.content), call_id=message.tool_call_id)
        case _:
            assert_never(message)


def _assistant_turn(message: wire.AssistantMessage) -> Turn:
    text = undecorate(_text(message.content)) or message.refusal or ""
    calls = (ToolCall(call.id, call.function.name, call.function.arguments) for call in message.tool_calls)
    return Turn("assistant", text, name=message.name, tool_calls=tuple(calls))


def _text(parts: Iterable[wire.Part]) -> str:
    texts = (
        part.text if isinstance(part, wire.TextPart) else part.refusal
        for part in parts
        if not isinstance(part, wire.ImageUrlPart)
    )
    return "\n".join(texts)


def _images(parts: Iterable[wire.Part]) -> tuple[ImagePart, ...]:
    pictures = (part.image_url for part in parts if isinstance(part, wire.ImageUrlPart))
    return tuple(ImagePart(each.url.media_type, each.url.base64, each.detail) for each in pictures)
