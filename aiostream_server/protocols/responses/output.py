"""A run's events -> the items of a response's output.

The answer is messages. All else that a team does is reasoning: a summary for each speaker, its tool calls included. For
Open WebUI calls are `function_call` items, each with its output: the page draws them, and runs a call without one.
"""

from collections.abc import Iterator
from typing import Final, assert_never

from aiostream_server.events import (
    Action,
    ActionToken,
    Answer,
    Dropped,
    Error,
    Event,
    InputRequested,
    Message,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    SpeechKind,
    Token,
    ToolRequested,
    ToolResult,
    Usage,
)
from aiostream_server.present.escaped_view import ANSWERED, EscapedView
from aiostream_server.present.escaping import Page
from aiostream_server.present.parts import Closed, EventPart, Opened, Part, Parts
from aiostream_server.present.shown import Shown
from aiostream_server.present.transcript import event_line
from aiostream_server.protocols.chat.tool_calls import Calls, tool_call_of
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.protocols.responses.ids import OWN_CALL, response_id
from aiostream_server.protocols.responses.items import ItemStatus
from aiostream_server.protocols.responses.kept import KeptResponse
from aiostream_server.protocols.responses.own_calls import call_text, result_text
from aiostream_server.protocols.responses.writing import ItemWriter, WireEvent

_OUTPUT_CHARS: Final = 8_000
_NO_OUTPUT: Final = "The run ended before the tool had answered."
_CUT: Final = ("cancelled", "error", "interrupted", "length", "content_filter")


class Output:
    """The output of one run. Feed it every event, in order."""

    def __init__(self, run_id: str, view: DisplayOptions, kept: KeptResponse) -> None:
        self.writer: Final = ItemWriter(run_id, merges=view.page is not None)
        self.speaker: tuple[str, SpeechKind] | None = None
        """Whose tokens of what kind are appended as they are to the open item, and do nothing else."""
        self._response_id: Final = response_id(run_id)
        self._parts: Final = Parts()
        self._escaped = None if view.page is None else _EscapedParts(view.page)
        self._by_team = view.by_team if view.presentation is None else {}
        presentations = {view.presentation} if view.presentation is not None else {*view.by_team.values()}
        self._shows_work = presentations != {"answer"}
        self._calls: Final[Calls] = kept.calls
        self._is_json: Final = kept.is_json
        self._has_answered = False
        self._is_said = False  # an answering agent's message is whole: the next event says whether it was cut off
        self._waiting: Action | None = None  # a call of the team's own: its result continues its item
        self._own_calls: dict[str, str] = {}  # calls without an output, for Open WebUI
        self._called = 0

    def show(self, event: Event) -> Iterator[WireEvent]:
        if isinstance(event, Routing) and event.team is not None and self._by_team:
            self._shows_work = self._by_team.get(event.team) != "answer"
        cut: ItemStatus = "incomplete" if _cuts(event) else "completed"
        if self._is_said and not isinstance(event, Usage):
            self._is_said = False
            yield from self.writer.close(cut)
        for part in self._parts.of(event):
            if self._escaped is None:
                yield from self._show(part, cut)
            else:
                for each in self._escaped.of(part):
                    yield from self._show(each, cut)
        if isinstance(event, Answer):
            yield from self._client_call(event)

    def _show(self, part: Part, cut: ItemStatus) -> Iterator[WireEvent]:
        if isinstance(part, Token):
            yield from self.writer.say(part.content)
            return
        self.speaker = None
        if not isinstance(part, ToolResult | ActionToken):
            self._waiting = None
        if isinstance(part, Opened):
            self._is_said = False
            yield from self.writer.close()
            yield from self._open(part)
        elif isinstance(part, Closed) and isinstance(part.said, Message) and part.kind == "final":
            self._is_said = True
        elif isinstance(part, Closed):
            yield from self.writer.close("completed" if part.said is not None else cut)
        elif not isinstance(part, ActionToken):  # the client may run a call only once its arguments are accepted
            yield from self._show_event(part, cut)

    def _show_event(self, part: EventPart, cut: ItemStatus) -> Iterator[WireEvent]:
        match part:
            case Action() | ToolResult() if self._escaped is not None:
                yield from self._show_pair(part)
            case Action():
                yield from self.writer.close()
                if self._shows_work:
                    yield from self.writer.open_text(is_message=False)
                    yield from self.writer.say(call_text(part))
                    self._waiting = part
            case ToolResult():
                yield from self._show_result(part)
            case Notice() if part.is_about_memory and not self._is_json:
                yield from self.line(event_line(part), is_message=True)
            case Routing() | Notice() | Dropped() | Restarted():
                yield from self._remarked(part)
            case RunFinished():
                yield from self.writer.close(cut)
                yield from self._end_pairs()
            case ToolRequested():
                yield from self.writer.close()
                yield from self._client_call(part)
            case InputRequested() | Error():
                yield from self.writer.close(cut)
            case _:
                assert_never(part)

    def _open(self, part: Opened) -> Iterator[WireEvent]:
        is_answer = part.kind == "final"
        if self._calls is not None if is_answer else not self._shows_work:
            return
        yield from self.writer.open_text(is_message=is_answer)
        if not is_answer:
            yield from self.writer.say(f"**{part.agent}**\n\n")
        elif self._has_answered:
            yield from self.writer.say("\n\n")  # clients join the texts of all messages
        self._has_answered |= is_answer
        if self._escaped is None:
            self.speaker = part.agent, part.kind

    def line(self, text: str, *, is_message: bool) -> Iterator[WireEvent]:
        """An item of its own."""
        yield from self.writer.close()
        if is_message or self._shows_work:
            yield from self.writer.open_text(is_message=is_message)
            yield from self.writer.say(f"\n\n{text}" if is_message and self._has_answered else text)
            yield from self.writer.close()
            self._has_answered |= is_message

    def _show_result(self, result: ToolResult) -> Iterator[WireEvent]:
        call, self._waiting = self._waiting, None
        text = result_text(result)
        if call is not None and call.call_id == result.call_id:
            yield from self.writer.say(f" = {text}")
            yield from self.writer.close()
        else:
            yield from self.line(f"{result.tool} = {text}", is_message=False)

    def _remarked(self, part: Routing | Notice | Dropped | Restarted) -> Iterator[WireEvent]:
        is_between_answers = isinstance(part, Restarted) and self._has_answered and not self._is_json
        if isinstance(part, Restarted):
            yield from self._end_pairs()
        yield from self.line(event_line(part), is_message=is_between_answers)

    def _client_call(self, event: Answer | ToolRequested) -> Iterator[WireEvent]:
        """Nothing for an answer that is no call."""
        if (call := tool_call_of(event, self._response_id, self._calls)) is not None:
            name, arguments = call["function"]["name"], call["function"]["arguments"]
            yield from self.writer.call(call["id"], name, arguments)

    def _show_pair(self, part: Action | ToolResult) -> Iterator[WireEvent]:
        yield from self.writer.close()
        if not self._shows_work:
            return
        if isinstance(part, Action):
            self._called += 1
            call_id = self._own_calls[part.call_id] = f"{OWN_CALL}{self._called}"
            yield from self.writer.call(call_id, part.tool, part.arguments)
        elif (call_id := self._own_calls.pop(part.call_id, "")) != "":
            yield from self.writer.call_output(call_id, part.content[:_OUTPUT_CHARS])

    def _end_pairs(self) -> Iterator[WireEvent]:
        for call_id in self._own_calls.values():
            yield from self.writer.call_output(call_id, _NO_OUTPUT, "incomplete")
        self._own_calls = {}


def _cuts(event: Event) -> bool:
    """Whether what was said until then is cut off by this."""
    match event:
        case Error() | Restarted():
            return True
        case RunFinished():
            return event.reason in _CUT
        case Notice():
            return event.reason in _CUT
    return False


class _EscapedParts:
    """The parts of a run with the text of agents escaped for a page. Give it every part, in order."""

    def __init__(self, page: Page) -> None:
        self._parts: list[Part] = []
        self._view = EscapedView(self, page, ANSWERED)

    def of(self, part: Part) -> list[Part]:
        for _ in self._view.show(part):
            pass
        parts, self._parts = self._parts, []
        return parts

    def show(self, part: Part) -> Iterator[Shown]:
        """The method of a view. Keeps the part."""
        self._parts.append(part)
        return iter(())

    def channel(self, token: Token) -> None:
        """None: every token is escaped."""
