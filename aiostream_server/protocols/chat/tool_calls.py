"""Calls of the client's tools: https://platform.openai.com/docs/guides/function-calling

A `ToolRequested` event is a call that an agent made. Where a request forces a call and the team works without the
client's tools, the `Answer` is the call.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Literal, NotRequired, TypeAlias, TypedDict

from aiostream_server.events import Answer, Event, Token, ToolRequested
from aiostream_server.intake.answer_form import AnswerForm, ToolForm
from aiostream_server.present.shown import Channel, Presenter, Shown
from aiostream_server.protocols.json_schema import Natural

Calls: TypeAlias = Literal["chosen", "named"] | None
"""Of a request that forces a call: whether the model chooses the tool, or the request names it. Else None."""


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

    index: Natural
    id: NotRequired[str]
    type: NotRequired[Literal["function"]]
    function: FunctionDelta


def calls_of(form: AnswerForm | None) -> Calls:
    if isinstance(form, ToolForm):
        return "named" if form.is_named else "chosen"
    return None


def tool_call_of(event: Event, completion_id: str, calls: Calls) -> ToolCallBody | None:
    """The call that an event is, the same for every replay of a run; None for any other event."""
    if isinstance(event, ToolRequested):
        return _body(event.call_id, event.tool, event.arguments)
    if isinstance(event, Answer) and event.tool and calls is not None:
        return _body(f"call_{sha256(completion_id.encode()).hexdigest()[:24]}", event.tool, event.content)
    return None


def _body(call_id: str, tool: str, arguments: str) -> ToolCallBody:
    return {"id": call_id, "type": "function", "function": {"name": tool, "arguments": arguments}}


def tool_call_deltas(call: ToolCallBody, index: int, most_chars: int) -> Iterator[ToolCallDelta]:
    name, arguments = call["function"]["name"], call["function"]["arguments"]
    yield {"index": index, "id": call["id"], "type": "function", "function": {"name": name, "arguments": ""}}
    for start in range(0, len(arguments), most_chars):
        yield {"index": index, "function": {"arguments": arguments[start : start + most_chars]}}


class WithoutContent:
    """A presenter that shows the reasoning only: the call stands in the place of the content."""

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter

    def show(self, event: Event) -> Iterator[Shown]:
        return (shown for shown in self._presenter.show(event) if shown.channel == "reasoning")

    def overdue(self) -> Iterator[Shown]:
        return (shown for shown in self._presenter.overdue() if shown.channel == "reasoning")

    def continued(self, token: Token) -> Channel | None:
        return None  # most tokens are content, and hidden
