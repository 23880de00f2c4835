"""A question as every part behind the protocols sees it: the task, what was said before it, and how to answer.

The last user message is the task. Where an assistant or a tool spoke last, the whole conversation is history and the
task is a sentence of ours. System messages are history wherever they stand. An assistant's message without words is an
answer that was stopped before its first one: at the end it does not count.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from operator import attrgetter
from typing import Final, Literal, NamedTuple, TypeAlias

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.answer_form import AnswerForm
from aiostream_server.intake.client_tools import AUTO, ClientTool, ToolChoice

CONTINUE_TASK: Final = "Continue your last answer exactly where it stopped. Do not repeat what it already says."
TOOL_RESULT_TASK: Final = "Answer my last question, using the tool result above."

_OUR_TASKS: Final = frozenset({CONTINUE_TASK, TOOL_RESULT_TASK})

_SPOKEN: Final = "spoken aloud"  # in the prompt of Open WebUI's voice mode

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]
Detail: TypeAlias = Literal["auto", "low", "high"]


@dataclass(frozen=True, slots=True)
class ImagePart:
    """A PNG, JPEG, GIF or WebP; `base64` is well formed, and stays encoded because models take it so."""

    media_type: str
    base64: str = field(repr=False)
    detail: Detail = "auto"
    pixels: int = 0

    @property
    def size_bytes(self) -> int:
        return len(self.base64) * 3 // 4


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the client's own tools; `arguments` is JSON text as the model wrote it."""

    call_id: str
    name: str
    arguments: str


class Turn(NamedTuple):
    """One message. Only assistant turns have `tool_calls`; only tool turns have a `call_id`: the call they answer.

    A long conversation brings hundreds with each question, and a frozen dataclass takes three times as long to make.
    """

    role: Role
    text: str
    images: tuple[ImagePart, ...] = ()
    name: str | None = None
    tool_calls: tuple[ToolCall, ...] = ()
    call_id: str | None = None

    @property
    def is_blank_answer(self) -> bool:
        """Whether chat clients keep it of an answer that was stopped before its first word."""
        return self.role == "assistant" and not self.tool_calls and not self.text.strip()


@dataclass(frozen=True, slots=True)
class Question:
    """`options` are for the agents' model calls; `max_tokens` bounds what the whole run writes, and `max_own_calls` how
    often the team calls its own tools. `form` is that of the answer; None for text. Teams that allow it call
    `client_tools` as `tool_choice` says."""

    task: Turn
    history: tuple[Turn, ...] = ()
    options: Mapping[str, object] = field(default_factory=dict)
    max_tokens: int | None = None
    max_own_calls: int | None = None
    form: AnswerForm | None = None
    client_tools: tuple[ClientTool, ...] = ()
    tool_choice: ToolChoice = AUTO

    @property
    def callable_tools(self) -> tuple[ClientTool, ...]:
        """The client's tools that the agents may call now."""
        choice = self.tool_choice
        if choice.mode == "none":
            return ()
        return tuple(tool for tool in self.client_tools if not choice.names or tool.name in choice.names)

    @property
    def tool_results(self) -> Mapping[str, str]:
        """What the client's tools have answered since the assistant's last message, by the ids of the calls."""
        latest = takewhile(lambda turn: turn.role in ("tool", "system"), reversed(self.history))
        results = {turn.call_id or "": turn.text for turn in latest if turn.role == "tool"}
        return dict(reversed(results.items()))

    @property
    def has_new_task(self) -> bool:
        """Whether there is more to do than to go on with the results of tools."""
        return self.task.text != TOOL_RESULT_TASK

    @property
    def turns(self) -> tuple[Turn, ...]:
        """The history, and the task where it is new."""
        return (*self.history, self.task) if self.has_new_task else self.history

    @property
    def is_continuation(self) -> bool:
        """Whether the answer goes on where the assistant's last message stopped, which the client keeps and shows."""
        return self.task.text == CONTINUE_TASK

    @property
    def is_spoken(self) -> bool:
        """Whether a system message says that the answer is read to the user: in a voice call."""
        return any(turn.role == "system" and _SPOKEN in turn.text for turn in self.history)

    def check_pictures(self, *, max_pixels: int, max_bytes: int) -> None:
        """Raise `InvalidRequest` if all images, those of the history included, are larger together. 0: no limit."""
        images = [image for turn in (*self.history, self.task) for image in turn.images]
        pixels, size_bytes = (sum(map(attrgetter(name), images)) for name in ("pixels", "size_bytes"))
        for size, most, unit in ((pixels, max_pixels, "pixels"), (size_bytes, max_bytes, "bytes")):
            if most and size > most:
                told = f"the images of all messages together have {size} {unit}; this server takes {most}"
                raise InvalidRequest(f"messages: {told}", param="messages")

    @property
    def asked(self) -> list[str]:
        """The user's questions so far, oldest first, without the sentences that stand for a task."""
        texts = [turn.text for turn in (*self.history, self.task) if turn.role == "user"]
        return texts[:-1] if len(texts) > 1 and texts[-1] in _OUR_TASKS else texts


def question_of(
    turns: tuple[Turn, ...],
    options: Mapping[str, object],
    max_tokens: int | None,
    form: AnswerForm | None = None,
    client_tools: tuple[ClientTool, ...] = (),
    tool_choice: ToolChoice = AUTO,
    *,
    field: str = "messages",
    is_chained: bool = False,
) -> Question:
    """The question that a conversation asks. `is_chained`: the server has its beginning, and results of tools may be
    all that is new. Raises `InvalidRequest` about `field` where there is nothing to answer."""
    if not any(turn.role == "user" or (is_chained and turn.role == "tool") for turn in turns):
        raise InvalidRequest(f"{field} must contain at least one user message", param=field)
    last = max(index for index, turn in enumerate(turns) if turn.role != "system" and not turn.is_blank_answer)
    turns = tuple(turn for index, turn in enumerate(turns) if index <= last or turn.role == "system")
    task = turns[last]
    if task.role == "assistant":  # Open WebUI's "Continue response"
        task, history = Turn("user", CONTINUE_TASK), turns
    elif task.role == "tool":
        task, history = Turn("user", TOOL_RESULT_TASK), turns
    elif not task.text.strip() and not task.images:
        raise InvalidRequest(f"{field}[{last}].content: is empty", param=f"{field}[{last}].content")
    else:
        history = turns[:last] + turns[last + 1 :]
    return Question(task, history, options, max_tokens, form=form, client_tools=client_tools, tool_choice=tool_choice)
