"""A run as the events of a streamed response: https://platform.openai.com/docs/api-reference/responses-streaming

Each event has a `sequence_number`: 0, 1, 2 ... It depends on the run's log only, so any node can send the events behind
a number. A stream ends with `[DONE]`, as Open Responses wants it and OpenAI's clients accept it.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from aiostream_server.errors import RunGone
from aiostream_server.events import Dropped, Entry, Error, Restarted, RunFinished, SpeechKind, Token
from aiostream_server.intake.json_text import quote
from aiostream_server.present.status import SILENCE_S
from aiostream_server.protocols.chat.open_webui import PageFrames, cut_line
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.protocols.responses.kept import read_kept
from aiostream_server.protocols.responses.output import Output
from aiostream_server.protocols.responses.response import ResponseText, Status, status_of
from aiostream_server.protocols.responses.writing import MAX_DELTA_CHARS, WireEvent
from aiostream_server.runs.card import RunCard
from aiostream_server.sse.frames import DONE

_STARTED: Final[tuple[tuple[str, Status], ...]] = (
    ("response.created", "in_progress"),
    ("response.in_progress", "in_progress"),
)
_QUEUED: Final[tuple[tuple[str, Status], ...]] = (
    ("response.created", "queued"),
    ("response.queued", "queued"),
    ("response.in_progress", "in_progress"),
)
_TERMINAL: Final = {
    "completed": "response.completed",
    "incomplete": "response.incomplete",
    "failed": "response.failed",
    "cancelled": "response.failed",  # OpenAI's packages know no other type that could tell it
}

_NUMBERS_PER_ENTRY: Final = 8
"""More events than an entry of the log becomes. So all viewers count on from the same number where a run was taken
over, whatever each has seen that the log does not have."""


class ResponseFrames:
    """`protocols.dialect.TimedFrames` of one viewer, who has the events up to number `after`."""

    __slots__ = (
        "_after",
        "_error",
        "_gap",
        "_is_background",
        "_is_lost",
        "_number",
        "_output",
        "_page",
        "_response",
        "_sent",
        "_seq",
    )

    def __init__(self, card: RunCard, view: DisplayOptions, *, after: int = -1) -> None:
        kept = read_kept(card.kept)
        self._after: Final = after
        self._is_background: Final = kept.is_background
        self._response: Final = ResponseText(card, kept)
        self._output: Final = Output(card.id, view, kept)
        self._page: Final = None if view.page is None else PageFrames(view.team_name, view.team, view.members)
        self._error: Error | None = None
        self._gap: Entry | None = None  # a `Dropped`, until the next entry tells why
        self._is_lost = False
        self._number = 0  # of the next event
        self._seq = 0  # of the last entry that `encode` was given
        self._sent: list[str] = []  # the tokens behind it, which `encode_tokens` was given

    def opening(self, *, at_end: bool) -> bytes:
        told = _QUEUED if self._is_background else _STARTED
        events = (WireEvent(kind, f'"response":{self._response.unfinished(status)}') for kind, status in told)
        return "".join(map(self._frame, events)).encode("ascii")

    def encode(self, entries: Sequence[Entry]) -> bytes:
        if self._sent:
            self._note_sent(entries)
        frames: list[str] = []
        speaker, texts = self._output.speaker, list[str]()  # tokens that only continue an item are encoded together
        for entry in entries:
            event = entry.event
            if type(event) is Token and (event.agent, event.kind) == speaker and len(event.content) <= MAX_DELTA_CHARS:
                texts.append(event.content)
                continue
            frames += self._continued(texts)
            frames += self._frames(entry)
            speaker, texts = self._output.speaker, []
        frames += self._continued(texts)
        frames += map(self._frame, self._output.writer.flush())
        self._seq = entries[-1].seq if entries else self._seq
        return "".join(frames).encode("ascii")

    def encode_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str]) -> bytes | None:
        opened, sent, number = self._output.writer.open, self._sent, self._number
        if opened is None or self._output.speaker != (agent, kind) or number <= self._after:
            return None
        for text in texts:
            if len(text) > MAX_DELTA_CHARS:
                return None
        encoded = "".join(opened.deltas(texts, number + len(sent))).encode("ascii")
        sent += texts
        return encoded

    @property
    def silence_s(self) -> float:
        return math.inf if self._page is None else SILENCE_S

    def silence(self, now: float) -> bytes:
        return b"" if self._page is None else b"".join(self._page.silence(now))

    def _continued(self, texts: Sequence[str]) -> Sequence[str]:
        """The frames of tokens that continue the item that is open."""
        opened, number = self._output.writer.open, self._number
        if opened is None or not texts:
            return ()
        opened.texts += texts
        self._number += len(texts)
        if self._is_lost:
            return ()
        return opened.deltas(texts, number)[max(self._after + 1 - number, 0) :]

    def _note_sent(self, entries: Sequence[Entry]) -> None:
        """Tokens that were sent are not given again: the first entry tells how many they were."""
        sent, self._sent = self._sent, []
        if entries and (opened := self._output.writer.open) is not None:
            count = _first(entries[0]) - 1 - self._seq
            opened.texts += sent[:count]
            self._number += count

    def _frames(self, entry: Entry) -> Iterator[str]:
        event, gap, self._gap = entry.event, self._gap, None
        if isinstance(event, Dropped):
            self._gap, self._output.speaker = entry, None
            return
        is_takeover = isinstance(event, Restarted)
        if gap is not None:
            is_takeover = is_takeover or (isinstance(event, RunFinished) and event.reason == "interrupted")
            if self._after >= 0 and not is_takeover:
                self._number = max(self._number, self._after + 1)
                yield self._frame(_lost())
                self._is_lost = True
            yield from self._shown(gap)
        if is_takeover:
            self._number = max(self._number, entry.seq * _NUMBERS_PER_ENTRY)
        yield from self._shown(entry)

    def _shown(self, entry: Entry) -> Iterator[str]:
        event, page = entry.event, self._page
        if isinstance(event, Error):
            self._error = event
        if page is not None and not isinstance(event, RunFinished):
            yield from map(_text, page.statuses(event, entry.timestamp))
        yield from map(self._frame, self._output.show(event))
        if page is not None:
            yield from map(_text, page.sources(event))
        if isinstance(event, RunFinished):
            yield from self._ending(event, entry.timestamp)

    def _ending(self, event: RunFinished, at: float) -> Iterator[str]:
        if self._page is not None and (line := cut_line(event.reason, self._error)):
            yield from map(self._frame, self._output.line(line, is_message=True))
        output = ",".join(self._output.writer.written)
        response = self._response.finished(event, at, self._error, output)
        yield self._frame(WireEvent(_TERMINAL[status_of(event.reason)], f'"response":{response}'))
        if self._page is not None:
            yield from map(_text, self._page.statuses(event, at))
        yield _text(DONE)

    def _frame(self, event: WireEvent) -> str:
        """Empty for an event that the viewer has."""
        number = self._number
        self._number += 1
        if number <= self._after or self._is_lost:
            return ""
        kind = event.type
        return f'event: {kind}\ndata: {{"type":"{kind}","sequence_number":{number},{event.fields}}}\n\n'


def _text(frame: bytes) -> str:
    return frame.decode("ascii")


def _first(entry: Entry) -> int:
    return entry.event.first if isinstance(entry.event, Dropped) else entry.seq


def _lost() -> WireEvent:
    """The numbers behind events that the log has dropped are not known."""
    message = "the beginning of this response is kept no longer: read the response, or ask again"
    return WireEvent("error", f'"code":"{RunGone.code}","message":{quote(message)},"param":null')
