"""Events of Open WebUI's own in a chat stream: a status line above the answer, and sources below it.

And a line behind the text of an answer that was cut, since the page shows half an answer as it shows a whole one.

`{"event": {"type": ..., "data": ...}}` without `choices`: only Open WebUI understands it, so only Open WebUI gets it.
Nothing in it is null, and a line stays shorter than 64 KiB: Open WebUI 0.6.36 ends a turn over a line of 128 KiB.
"""

from collections.abc import Iterator
from typing import Final

from aiostream_server.events import Error, Event, FinishReason, Notice
from aiostream_server.events.fixed_notices import CUT_BY_ERROR, CUT_BY_REASON, GO_ON
from aiostream_server.intake.json_text import encode
from aiostream_server.present.shown import Shown
from aiostream_server.present.sources import Sources
from aiostream_server.present.status import Members, Status, StatusLine
from aiostream_server.sse.frames import data_frame

_MOST_NAME_CHARS: Final = 200
_MOST_BYTES: Final = 60_000
_BYTES_OF_A_CHAR: Final = len(r"\ud83d\ude00")


class PageFrames:
    """One viewer's frames. Give `statuses` and `sources` every event, in order."""

    def __init__(self, team_name: str = "", team: str = "", members: Members | None = None) -> None:
        """`team` is the id of a team which was chosen directly."""
        self._status = StatusLine(team_name, team, members)
        self._sources = Sources()
        self._has_text = False
        self._last_notice: Notice | None = None  # that the text ends with

    def statuses(self, event: Event, at: float) -> Iterator[bytes]:
        """`at` is the event's Unix time in seconds."""
        return map(_status_bytes, self._status.show(event, at))

    def silence(self, now: float) -> Iterator[bytes]:
        """Nothing has happened for a while: how long the run has been at it."""
        return map(_status_bytes, self._status.pass_time(now))

    @property
    def is_in_text(self) -> bool:
        """Whether the answer has text, and no notice at its end."""
        return self._has_text and self._last_notice is None

    def noted(self, event: Event, pieces: Iterator[Shown]) -> Iterator[Shown]:
        """The pieces as they are, which are shown of the event. `ending` goes by what the answer's text ends with."""
        is_in_text = False
        for shown in pieces:
            is_in_text = is_in_text or shown.channel == "content"
            yield shown
        if is_in_text:
            self._has_text = True
            self._last_notice = event if isinstance(event, Notice) else None

    def ending(self, reason: FinishReason, error: Error | None) -> Iterator[Shown]:
        """What stands behind the text of an answer that ended so."""
        if line := cut_line(reason, error, self._last_notice):
            yield Shown(f"\n\n{line}" if self._has_text else line)

    def sources(self, event: Event) -> Iterator[bytes]:
        for source in self._sources.show(event):
            yield data_frame(source_frame(source.name, source.text))


def cut_line(reason: FinishReason, error: Error | None, above: Notice | None = None) -> str:
    """What stands behind an answer that ended so; empty where it was not cut, or the line `above` says so."""
    words = CUT_BY_ERROR.get(error.code) if error is not None and reason == "error" else CUT_BY_REASON.get(reason)
    if above is not None and above.reason == reason:
        words = GO_ON if reason == "length" else None
    return f"{Notice.sign} *{words}*" if words else ""


def _status_bytes(status: Status) -> bytes:
    return data_frame(status_frame(status.description, done=status.done))


def status_frame(description: str, *, done: bool) -> str:
    """The line above an answer; `done` marks the last one.

    The page shows a line with `"done": false` as one that is going on, for ever if the connection ends before the next:
    so it does after Stop. Without `done` a line ends by itself.
    """
    data: dict[str, object] = {"description": description[: _MOST_BYTES // 2 // _BYTES_OF_A_CHAR]}
    return _event("status", {**data, "done": True} if done else data)


def source_frame(name: str, text: str) -> str:
    """A source below an answer, to be unfolded. Sources of the same name are shown as one; long text is cut."""
    name = name[:_MOST_NAME_CHARS]
    line = _source(name, text)
    return line if len(line) <= _MOST_BYTES else _source(name, f"{text[: _MOST_BYTES // 2 // _BYTES_OF_A_CHAR]}…")


def _source(name: str, text: str) -> str:
    metadata = {"source": name, "name": name}
    return _event("source", {"source": {"name": name}, "document": [text], "metadata": [metadata]})


def _event(kind: str, data: dict[str, object]) -> str:
    return encode({"event": {"type": kind, "data": data}})
