"""The events of one run, stored in columns to save memory.

Nearly all events are tokens of a few characters. As an object each took 275 bytes; as a text and an item in four
columns it takes 90, and the garbage collector has nothing to scan.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiostream_server.events import Dropped, Entry, Event, SpeechKind, Token

_TOKEN_OVERHEAD_BYTES: Final = 84  # measured: the columns, and a string without its characters
_EVENT_OVERHEAD_BYTES: Final = 240
_NO_SPEAKER: Final = 0


class StoredEntries(NamedTuple):
    """Consecutive events as they are stored: a token as its text. `first` is the first one's number."""

    first: int
    said: list[Event | str]
    times: Sequence[float]
    speakers: "array[int]"


class Entries:
    """The part of a `Log` that holds its events. The oldest can be dropped."""

    def __init__(self) -> None:
        self.total_bytes = 0  # about how many all events took, dropped ones included
        self._said: list[Event | str] = []  # a token is stored as its text
        self._times = array("d")
        self._ends = array("q")  # `total_bytes` after each was added
        self._speaker_of = array("L")  # index into `_speakers`
        self._speakers: list[tuple[str, SpeechKind]] = [("", "message")]  # at 0: no token
        self._speaker_numbers: dict[tuple[str, SpeechKind], int] = {}
        self._dropped = 0
        self._dropped_bytes = 0

    @property
    def committed(self) -> int:
        return self._dropped + len(self._said)

    @property
    def size_bytes(self) -> int:
        return self.total_bytes - self._dropped_bytes

    def add(self, event: Event, timestamp: float) -> None:
        if isinstance(event, Token):
            self.add_tokens(event.agent, event.kind, (event.content,), timestamp)
            return
        texts = getattr(event, "content", "") + getattr(event, "arguments", "")
        self.total_bytes += _EVENT_OVERHEAD_BYTES + (len(texts) if texts.isascii() else 4 * len(texts))
        self._said.append(event)
        self._times.append(timestamp)
        self._ends.append(self.total_bytes)
        self._speaker_of.append(_NO_SPEAKER)

    def add_tokens(self, agent: str, kind: SpeechKind, texts: Sequence[str], timestamp: float) -> None:
        speaker = (agent, kind)
        if (number := self._speaker_numbers.get(speaker)) is None:
            number = self._speaker_numbers[speaker] = len(self._speakers)
            self._speakers.append(speaker)
        for text in texts:
            self.total_bytes += _TOKEN_OVERHEAD_BYTES + (len(text) if text.isascii() else 4 * len(text))
            self._said.append(text)
            self._times.append(timestamp)
            self._ends.append(self.total_bytes)
            self._speaker_of.append(number)

    def since(self, seq: int, *, max_bytes: float = math.inf) -> Sequence[Entry]:
        start = seq - self._dropped
        last = len(self._said) - 1
        if start >= last >= 0:  # fast path: a viewer that keeps up
            return [self._entry(last)] if start == last else []
        start = max(0, start)
        stop = min(last, bisect_left(self._ends, self.bytes_until(seq) + max_bytes)) + 1
        entries = [self._entry(place) for place in range(start, stop)]
        if seq >= self._dropped:
            return entries
        return [Entry(self._dropped, self._times[0], Dropped(first=seq + 1)), *entries]

    def condensed(self) -> Sequence[Entry]:
        places, before = [], _NO_SPEAKER
        for place, speaker in enumerate(self._speaker_of):
            if speaker == _NO_SPEAKER or speaker != before:
                places.append(place)
            before = speaker
        entries = [self._entry(place) for place in places]
        return [Entry(self._dropped, self._times[0], Dropped(first=1)), *entries] if self._dropped else entries

    def rows(self, seq: int, *, max_bytes: float) -> StoredEntries:
        """The same without making entries, and without a `Dropped`. There must be any."""
        start = max(0, seq - self._dropped)
        stop = min(len(self._said) - 1, bisect_left(self._ends, self.bytes_until(seq) + max_bytes)) + 1
        place = slice(start, stop)
        return StoredEntries(self._dropped + start + 1, self._said[place], self._times[place], self._speaker_of[place])

    def speaker(self, number: int) -> tuple[str, SpeechKind]:
        """The agent and the kind of the token in the row with this number."""
        return self._speakers[number]

    @property
    def dropped(self) -> int:
        """The number of the last event that was dropped; 0 for none."""
        return self._dropped

    def bytes_until(self, seq: int) -> int:
        """`total_bytes` after number `seq` was added; for a dropped event, after the last dropped one."""
        if seq >= self.committed:
            return self.total_bytes
        return self._ends[seq - self._dropped - 1] if seq > self._dropped else self._dropped_bytes

    def drop_to(self, size_bytes: int) -> None:
        """Drop the oldest events until at most `size_bytes` are left. The last event is never dropped."""
        count = min(bisect_left(self._ends, self.total_bytes - size_bytes) + 1, len(self._said) - 1)
        if count > 0:
            self._dropped += count
            self._dropped_bytes = self._ends[count - 1]
            for column in (self._said, self._times, self._ends, self._speaker_of):
                del column[:count]

    def drop_all(self, dropped: int) -> None:
        """Drop everything. The next event has the number behind `dropped`."""
        self._dropped, self._dropped_bytes = dropped, self.total_bytes
        for column in (self._said, self._times, self._ends, self._speaker_of):
            del column[:]

    def _entry(self, place: int) -> Entry:
        said = self._said[place]
        if isinstance(said, str):
            agent, kind = self._speakers[self._speaker_of[place]]
            said = Token(agent, said, kind)
        return Entry(self._dropped + place + 1, self._times[place], said)
