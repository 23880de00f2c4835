"""An answer that is a call of one of the client's tools: https://platform.openai.com/docs/guides/function-calling"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Literal, NotRequired, TypeAlias, TypedDict

from aiostream_server.events import Answer, Event, Token
from aiostream_server.intake.answer_form import AnswerForm, ToolForm
from aiostream_server.present.shown import Channel, Presenter, Shown

Calls: TypeAlias = Literal["chosen", "named"] | None
"""Whether the model chose the tool, or the request named it; None for an answer in words or in JSON."""


class CalledFunctionBody(TypedDict):
    name: str
    arguments: str


class ToolCallBody(TypedDict):
    id: str
    type: Literal["function"]
    function: CalledFunctionBody


class FunctionDelta(TypedDict):
    arguments: str
    name: NotRequired[str]


class ToolCallDelta(TypedDict):
    """The first one of a call has everything but its arguments, which the others hold in pieces."""

    index: Literal[0]
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionDelta


def calls_of(form: AnswerForm | None) -> Calls:
    if isinstance(form, ToolForm):
        return "named" if form.is_named else "chosen"
    return None


def tool_call(answer: Answer, completion_id: str) -> ToolCallBody:
    """The same for every replay of a run."""
    call_id = f"call_{sha256(completion_id.encode()).hexdigest()[:24]}"
    return {"id": call_id, "type": "function", "function": {"name": answer.tool, "arguments": answer.content}}


def tool_call_deltas(call: ToolCallBody, most_chars: int) -> Iterator[ToolCallDelta]:
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    yield {"index": 0, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
    for start in range(0, len(arguments), most_chars):
        yield {"index": 0, "function": {"arguments": arguments[start : start + most_chars]}}


class WithoutContent:
    """A presenter that shows the reasoning only: the call stands in the place of the content."""

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter

    def show(self, event: Event) -> Iterator[Shown]:
        return (shown for shown in self._presenter.show(event) if shown.channel == "reasoning")

    def overdue(self) -> Iterator[Shown]:
        return (shown for shown in self._presenter.overdue() if shown.channel == "reasoning")

    def continued(self, token: Token) -> Channel | None:
        channel = self._presenter.continued(token)
        return channel if channel == "reasoning" else None
