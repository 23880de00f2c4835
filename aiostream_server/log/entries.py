"""The events of one run, kept in little memory.

Nearly all of them are tokens, with a few characters each. As objects they took 275 bytes apiece; as a text and a place
in four columns they take 90, and nothing that the garbage collector has to look at.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

from aiostream_server.events import Dropped, Entry, Event, SpeechKind, Token

_TOKEN_OVERHEAD_BYTES: Final = 84  # measured: the columns, and a string without its characters
_EVENT_OVERHEAD_BYTES: Final = 240
_NO_VOICE: Final = 0


class Entries:
    """Numbered 1, 2, 3 ...; the oldest can be dropped."""

    __slots__ = (
        "_dropped",
        "_dropped_bytes",
        "_ends",
        "_numbers",
        "_said",
        "_times",
        "_voices",
        "_whose",
        "total_bytes",
    )

    def __init__(self) -> None:
        self.total_bytes = 0
        """About what all of them take, those included that were dropped."""
        self._said: list[Event | str] = []  # of a token its text
        self._times = array("d")
        self._ends = array("q")  # `total_bytes` when each had been added
        self._whose = array("L")  # the number of a token's voice
        self._voices: list[tuple[str, SpeechKind]] = [("", "message")]  # none; then every agent with every kind it used
        self._numbers: dict[tuple[str, SpeechKind], int] = {}
        self._dropped = 0
        self._dropped_bytes = 0

    def __len__(self) -> int:
        """The number of the last one."""
        return self._dropped + len(self._said)

    @property
    def size_bytes(self) -> int:
        """About how much memory they take."""
        return self.total_bytes - self._dropped_bytes

    def add(self, event: Event, timestamp: float) -> None:
        if isinstance(event, Token):
            self.add_tokens(event.agent, event.kind, (event.content,), timestamp)
            return
        text_bytes = _text_bytes(getattr(event, "content", "")) + _text_bytes(getattr(event, "arguments", ""))
        self._add(event, _NO_VOICE, _EVENT_OVERHEAD_BYTES + text_bytes, timestamp)

    def add_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> None:
        voice = (agent, kind)
        if (number := self._numbers.get(voice)) is None:
            number = self._numbers[voice] = len(self._voices)
            self._voices.append(voice)
        for text in texts:  # as `_add` does it: this is paid for every token
            self.total_bytes += _TOKEN_OVERHEAD_BYTES + (len(text) if text.isascii() else 4 * len(text))
            self._said.append(text)
            self._times.append(timestamp)
            self._ends.append(self.total_bytes)
            self._whose.append(number)

    def since(self, seq: int, *, max_bytes: float = math.inf) -> Sequence[Entry]:
        """Those with a higher number; a `Dropped` stands for those that are gone. All of them, or the first ones: as
        many as it takes to reach `max_bytes`."""
        start = seq - self._dropped
        last = len(self._said) - 1
        if start >= last >= 0:  # nearly always: a viewer that keeps up
            return [self._entry(last)] if start == last else []
        start = max(0, start)
        stop = min(last, bisect_left(self._ends, self.bytes_until(seq) + max_bytes)) + 1
        entries = [self._entry(place) for place in range(start, stop)]
        if seq >= self._dropped:
            return entries
        return [Entry(self._dropped, self._times[0], Dropped(first=seq + 1)), *entries]

    def bytes_until(self, seq: int) -> int:
        """`total_bytes` when number `seq` had been added; of those that are gone, as if it were the last."""
        if seq >= len(self):
            return self.total_bytes
        return self._ends[seq - self._dropped - 1] if seq > self._dropped else self._dropped_bytes

    def drop_to(self, size_bytes: int) -> None:
        """The oldest, until no more is left than this; but for the last one, whatever its size."""
        count = min(bisect_left(self._ends, self.total_bytes - size_bytes) + 1, len(self._said) - 1)
        if count > 0:
            self._dropped += count
            self._dropped_bytes = self._ends[count - 1]
            for column in (self._said, self._times, self._ends, self._whose):
                del column[:count]

    def _add(self, said: Event | str, voice: int, size: int, timestamp: float) -> None:
        self.total_bytes += size
        self._said.append(said)
        self._times.append(timestamp)
        self._ends.append(self.total_bytes)
        self._whose.append(voice)

    def _entry(self, place: int) -> Entry:
        said = self._said[place]
        if isinstance(said, str):
            agent, kind = self._voices[self._whose[place]]
            said = Token(agent, said, kind)
        return Entry(self._dropped + place + 1, self._times[place], said)


def _text_bytes(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
