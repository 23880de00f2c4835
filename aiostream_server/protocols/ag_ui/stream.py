"""A run as AG-UI's events, version 1.0: https://docs.ag-ui.com/concepts/events

Each speaker is a subagent; its words are reasoning. The answer is the team's: a message of its own. What AG-UI has no
event for is `CUSTOM`, with a name that begins with `aiostream.`. Absent values are left out: null is refused.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, assert_never

from aiostream_server.events import (
    Action,
    ActionToken,
    Dropped,
    Entry,
    Error,
    Event,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    SpeechKind,
    Token,
    ToolRequested,
    ToolResult,
    Waiting,
)
from aiostream_server.intake.json_text import encode, quote
from aiostream_server.intake.question import Turn
from aiostream_server.present.parts import Closed, Opened, Part, Parts
from aiostream_server.present.sources import Sources
from aiostream_server.protocols.ag_ui.interrupts import interrupt
from aiostream_server.protocols.ag_ui.request import ThreadOptions
from aiostream_server.protocols.ag_ui.subagents import AGUIEvent, Subagents
from aiostream_server.protocols.ag_ui.thread import remembered
from aiostream_server.protocols.ag_ui.tools import ToolEvents
from aiostream_server.protocols.error_at_end import error_at_end
from aiostream_server.protocols.remarks import Remark, remark_of, verdict_of
from aiostream_server.runs.card import RunCard
from aiostream_server.sse.frames import data_frame

VERSION: Final = "1.0"


@dataclass(frozen=True, slots=True)
class _OpenText:
    """The message that takes tokens: what its events name, and the beginning of each token's, as JSON in `before`."""

    named: AGUIEvent
    agent: str
    kind: SpeechKind
    head: AGUIEvent
    before: str


class ThreadFrames:
    """`protocols.dialect.Frames` of one viewer."""

    __slots__ = (
        "_asked",
        "_card",
        "_count",
        "_error",
        "_names",
        "_open",
        "_options",
        "_parts",
        "_sources",
        "_subagents",
        "_tools",
    )

    def __init__(self, card: RunCard, options: ThreadOptions) -> None:
        self._card = card
        self._options = options
        self._names = {
            "threadId": options.thread_id or card.conversation or card.id,
            "runId": options.run_id or card.id,
        }
        self._parts = Parts()
        self._sources = Sources()
        self._subagents = Subagents(card.id)
        self._tools = ToolEvents(card.id, self._subagents, self._next_id)
        self._open: _OpenText | None = None
        self._count = 0
        self._asked: InputRequested | None = None
        self._error: Error | None = None

    def opening(self, *, at_end: bool) -> bytes:
        """Begins with what the question added to the thread, so that a page that comes back has it, too."""
        asked, state = self._options.messages, self._options.state
        told = {"input": {**self._names, "messages": asked, "tools": [], "context": []}} if asked else {}
        metadata = {"metadata": {"aiostream": {"run_id": self._card.id, "model": self._card.model}}}
        begun = _frame({"type": "RUN_STARTED", **self._names, "protocolVersion": VERSION, **told, **metadata})
        return begun if state is None else begun + _frame({"type": "STATE_SNAPSHOT", "snapshot": state})

    def encode(self, entries: Sequence[Entry]) -> bytes:
        frames: list[bytes] = []
        for entry in entries:
            event = entry.event
            if isinstance(event, Token) and (opened := self._open) is not None and self._parts.is_open(event):
                frames.append(f"{opened.before}{quote(event.content)}}}\n\n".encode("ascii"))
            else:
                frames += map(_frame, self._events(event))
        return b"".join(frames)

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        opened = self._open
        if opened is None or opened.agent != agent or opened.kind != kind:
            return None
        return "".join([f"{opened.before}{quote(text)}}}\n\n" for text in texts]).encode("ascii")

    def _events(self, event: Event) -> Iterator[AGUIEvent]:
        if isinstance(event, Waiting):
            yield _custom(remark_of(event))
        for part in self._parts.of(event):
            yield from self._shown(part)

    def _shown(self, part: Part) -> Iterator[AGUIEvent]:
        match part:
            case Opened():
                yield from self._begin(part)
            case Token():
                if self._open is not None:
                    yield {**self._open.head, "delta": part.content}
            case Closed():
                yield from self._end(part)
            case ActionToken() | Action() | ToolResult() | ToolRequested():
                yield from self._tool(part)
            case Routing() | Notice() | Dropped() | Restarted():
                yield from self._remarked(part)
            case InputRequested():
                self._asked = part
            case Error():
                self._error = part
            case RunFinished():
                yield from self._ending(part)
            case _:
                assert_never(part)

    def _begin(self, part: Opened) -> Iterator[AGUIEvent]:
        named = {"messageId": self._next_id()}
        if part.kind == "final":
            yield {"type": "TEXT_MESSAGE_START", **named, "role": "assistant", "name": part.agent}
            head = {"type": "TEXT_MESSAGE_CONTENT", **named}
        else:
            yield from self._subagents.join(part.agent)
            named |= self._subagents.by(part.agent)
            yield {"type": "REASONING_START", **named, "metadata": {"aiostream": {"kind": part.kind}}}
            yield {"type": "REASONING_MESSAGE_START", **named, "role": "reasoning"}
            head = {"type": "REASONING_MESSAGE_CONTENT", **named}
        self._open = _OpenText(named, part.agent, part.kind, head, f'data: {encode(head)[:-1]},"delta":')

    def _end(self, part: Closed) -> Iterator[AGUIEvent]:
        if self._open is not None:
            named, self._open = self._open.named, None
            if part.kind == "final":
                yield {"type": "TEXT_MESSAGE_END", **named}
            else:
                yield {"type": "REASONING_MESSAGE_END", **named}
                yield {"type": "REASONING_END", **named}
        if (verdict := verdict_of(part.said)) is not None:
            yield _custom(verdict)

    def _tool(self, part: ActionToken | Action | ToolResult | ToolRequested) -> Iterator[AGUIEvent]:
        yield from self._tools.show(part)
        for source in self._sources.show(part):
            yield _custom(Remark("source", {"title": source.name, "text": source.text}))

    def _remarked(self, part: Routing | Notice | Dropped | Restarted) -> Iterator[AGUIEvent]:
        if isinstance(part, Restarted):
            yield from self._tools.close(waits=False)
        yield _custom(remark_of(part))

    def _ending(self, part: RunFinished) -> Iterator[AGUIEvent]:
        yield from self._tools.close(waits=self._asked is not None)
        yield from self._subagents.finish()
        error = error_at_end(part.reason, self._error)
        usage = {"usage": [{"inputTokens": part.usage.prompt_tokens, "outputTokens": part.usage.completion_tokens}]}
        if error is not None:
            yield {"type": "RUN_ERROR", "message": error.message, "code": error.code, **usage}
            return
        told = {"reason": part.reason, "duration_s": part.duration_s}
        metadata = {"metadata": {"aiostream": told}}
        yield {"type": "RUN_FINISHED", **self._names, "outcome": self._outcome(part), **usage, **metadata}

    def _outcome(self, part: RunFinished) -> AGUIEvent:
        if part.reason == "cancelled":
            return {"type": "cancelled"}
        if self._asked is not None:
            return {"type": "interrupt", "interrupts": [interrupt(self._card.id, self._asked)]}
        if self._tools.pending:
            return {"type": "success", "pendingToolCallIds": self._tools.pending}
        return {"type": "success"}

    def _next_id(self) -> str:
        self._count += 1
        return f"{self._card.id}-{self._count}"


def remembered_frames(thread: str, turns: Sequence[Turn]) -> bytes:
    """The stream that `thread.remembered` tells."""
    return b"".join(map(_frame, remembered(thread, turns)))


def _custom(remark: Remark) -> AGUIEvent:
    return {"type": "CUSTOM", "name": f"aiostream.{remark.name}", "value": remark.data}


def _frame(event: AGUIEvent) -> bytes:
    return data_frame(encode(event))
