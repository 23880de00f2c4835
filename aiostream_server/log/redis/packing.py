"""A run's events as bytes: one payload of its list in Redis, and one message to other processes.

A payload holds consecutive events. It begins with the number of the last one in decimal digits and a space, which
Redis' scripts read. Tokens of one agent and kind that follow each other are one list of texts: 13 bytes for a token of
five characters, where JSON takes 180. A time is the distance to the one before it, in milliseconds. Large payloads are
compressed: a run's last events repeat twice what its tokens have said.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, TypeAlias, cast

import msgspec

from aiostream_server.events import Dropped, Entry, Event, SpeechKind, Token
from aiostream_server.events.codec import decode_event
from aiostream_server.events.model import SPEECHES
from aiostream_server.log.entries import Entries, StoredEntries

_MAX_PAYLOAD_BYTES: Final = 64 * 1024  # of memory; packed it is less
_COMPRESSED_BYTES: Final = 1024  # from here on
_COMPRESSED: Final = b"\x78"  # zlib's first byte; that of a payload is another one


class _Tokens(msgspec.Struct, array_like=True, tag=0):
    agent: str
    kind: str
    waits: list[int]
    texts: list[str]


class _Other(msgspec.Struct, array_like=True, tag=1):
    name: str
    wait: int
    event: Any  # a mapping: events are checked by `decode_event`


class _Payload(msgspec.Struct, array_like=True):
    first: int
    time: int
    items: list[_Tokens | _Other]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Payload).decode


@dataclass(frozen=True, slots=True)
class Packed:
    """Consecutive events; `first` and `last` are their numbers."""

    first: int
    last: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Tokens:
    """Consecutive tokens of one agent and kind. The first has the number `seq`."""

    seq: int
    agent: str
    kind: SpeechKind
    texts: Sequence[str]
    times: Sequence[float]

    @property
    def last(self) -> int:
        return self.seq + len(self.texts) - 1

    def behind(self, seq: int) -> "Tokens":
        """The tokens with a higher number."""
        gone = max(0, seq + 1 - self.seq)
        return Tokens(self.seq + gone, self.agent, self.kind, self.texts[gone:], self.times[gone:]) if gone else self


Unpacked: TypeAlias = Tokens | Entry


def pack(log: Entries, after: int) -> Iterator[Packed]:
    """All events with a higher number than `after` that the log still holds, in payloads of a bounded size."""
    while after < log.committed:
        stretch = log.rows(after, max_bytes=_MAX_PAYLOAD_BYTES)
        times = list(map(_milliseconds, stretch.times))
        waits = [0, *(now - before for before, now in pairwise(times))]
        first, speaker = stretch.first, stretch.speakers[0]
        if speaker and stretch.speakers.count(speaker) == len(times):  # nearly all that is written
            items: list[_Tokens | _Other] = [_Tokens(*log.speaker(speaker), waits, cast("list[str]", stretch.said))]
        else:
            items = _items(log, stretch, waits)
        after = first + len(times) - 1
        yield Packed(first, after, _whole(_Payload(first, times[0], items), after))


def _items(log: Entries, stretch: StoredEntries, waits: Sequence[int]) -> list[_Tokens | _Other]:
    items: list[_Tokens | _Other] = []
    speaker = 0
    for said, wait, number in zip(stretch.said, waits, stretch.speakers, strict=True):
        if not isinstance(said, str):
            items.append(_Other(said.type, wait, said))
        elif number == speaker and isinstance(latest := items[-1], _Tokens):
            latest.waits.append(wait)
            latest.texts.append(said)
        else:
            items.append(_Tokens(*log.speaker(number), [wait], [said]))
        speaker = number
    return items


def pack_entries(entries: Sequence[Entry]) -> Packed:
    """Entries without tokens. The numbers follow each other."""
    before = first_ms = _milliseconds(entries[0].timestamp)
    items: list[_Tokens | _Other] = []
    for entry in entries:
        now = _milliseconds(entry.timestamp)
        items.append(_Other(entry.event.type, now - before, entry.event))
        before = now
    first, last = entries[0].seq, entries[-1].seq
    return Packed(first, last, _whole(_Payload(first, first_ms, items), last))


def _whole(payload: _Payload, last: int) -> bytes:
    encoded = _encode(payload)
    return b"%d %b" % (last, encoded if len(encoded) < _COMPRESSED_BYTES else zlib.compress(encoded, 1))


def unpack(payload: bytes) -> Iterator[Unpacked]:
    """Raises `ValueError` for anything that `pack` has not made."""
    _, _, body = payload.partition(b" ")
    whole = _decode(_decompressed(body) if body.startswith(_COMPRESSED) else body)
    seq, now = whole.first, whole.time
    for item in whole.items:
        if isinstance(item, _Other):
            now += item.wait
            yield Entry(seq, now / 1000, _event(item, seq))
            seq += 1
        elif item.texts:
            times = []
            for wait in item.waits:
                now += wait
                times.append(now / 1000)
            yield Tokens(seq, item.agent, _kind(item.kind), item.texts, times)
            seq += len(item.texts)


def _decompressed(payload: bytes) -> bytes:
    try:
        return zlib.decompress(payload)
    except zlib.error as exc:
        raise ValueError(f"events cannot be decompressed: {exc}") from exc


def entries_in(payload: bytes, after: int) -> Iterator[Entry]:
    """The entries with a higher number than `after`."""
    for item in unpack(payload):
        if isinstance(item, Entry):
            if item.seq > after:
                yield item
        else:
            rest = item.behind(after)
            for place, (text, time) in enumerate(zip(rest.texts, rest.times, strict=True)):
                yield Entry(rest.seq + place, time, Token(rest.agent, text, rest.kind))


def _milliseconds(time: float) -> int:
    """As JSON shows a time (`datetime.fromtimestamp`): rounded to microseconds, and cut to milliseconds. So an event is
    the same in every process."""
    return int(time) * 1000 + round(time % 1.0 * 1e6) // 1000


def _event(item: _Other, seq: int) -> Event:
    """An event of a newer version, which this one does not know, is told as dropped: its number is used."""
    if not isinstance(item.event, dict):
        raise ValueError(f"event {seq} is no mapping")
    return decode_event({**item.event, "type": item.name}) or Dropped(first=seq)


def _kind(name: str) -> SpeechKind:
    return next((kind for kind in SPEECHES if kind == name), "message")
