"""Fingerprints, which tell whether the history that a client sends is the one that a team's state belongs to.

A fingerprint covers the questions and answers of a history, except the last answer, as the client sent them. Each is
made from the one before it, so a conversation that continues hashes only the new turns. The last answer has a
fingerprint for each presentation, because the client sends back the text that it was shown. White space does not count,
because clients change it; every other character of an answer does. Additions to a single request (documents that a
client found, a list of attached files) and system messages, which may hold the time, are not part of a conversation.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from aiostream_server.events import Entry, ToolRequested
from aiostream_server.intake.json_text import encode, quote
from aiostream_server.intake.question import Turn
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present.answer_texts import answer_texts
from aiostream_server.text import typed_question

_ASCII_SPACE: Final = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "


class Standing(NamedTuple):
    """The position of a conversation: the `fingerprint` of the turns up to the last question, and that of its `answer`.

    `since` is the turn with that answer, and the results of its tool calls: `fingerprint([*since, ...], after=...)`
    continues from here.
    """

    fingerprint: str
    answer: str
    since: tuple[Turn, ...]


def standing_of(history: Sequence[Turn]) -> Standing | None:
    """None if the last question has no answer."""
    talk = [turn for turn in history if turn.role != "system"]
    results = tuple(takewhile(lambda turn: turn.role == "tool", reversed(talk)))[::-1]
    *before, last = talk[: len(talk) - len(results)] or [Turn("user", "")]
    if last.role != "assistant":
        return None
    calls = [call.call_id for call in last.tool_calls]
    return Standing(fingerprint(before), _calls_print(calls) if calls else _answer_print(last.text), (last, *results))


def fingerprint(turns: Iterable[Turn], *, after: str = "") -> str:
    """The fingerprint of all turns but system messages. `after` is the fingerprint of the turns before these."""
    for turn in turns:
        if turn.role != "system":
            after = extended(after, essence(turn))
    return after


def extended(after: str, essence_of_next: str) -> str:
    """The fingerprint of one turn more."""
    return _sha256(f"{after}\n{essence_of_next}")


def answer_prints(entries: Sequence[Entry]) -> tuple[str, ...]:
    """The fingerprints of a run's answer, one for each text in which a client may send it back; or that of the ids
    of its calls of the client's tools.

    `entries` is the run's whole log.
    """
    if calls := [entry.event.call_id for entry in entries if isinstance(entry.event, ToolRequested)]:
        return (_calls_print(calls),)
    texts = answer_texts(entry.event for entry in entries)
    return tuple({_answer_print(undecorate(text)): None for text in texts})


def essence(turn: Turn) -> str:
    """What counts of a turn, in lines of ASCII; small, also for one with images."""
    text = typed_question(turn.text) if turn.role == "user" else turn.text.strip()
    if turn.role == "assistant":
        text = _answer_print(turn.text)
    images = [hashlib.sha256(image.base64.encode()).hexdigest() for image in turn.images]
    calls = [[call.call_id, call.name, call.arguments] for call in turn.tool_calls]
    more = [turn.name, images, calls, turn.call_id]
    return f"{turn.role}\n{quote(text)}\n{encode(more) if any(more) else ''}"


def _answer_print(text: str) -> str:
    return _sha256(quote(_without_space(text)))


def _calls_print(call_ids: Sequence[str]) -> str:
    return _sha256(f"calls\n{encode([*call_ids])}")


def _without_space(text: str) -> str:
    if text.isascii():  # the same result in a fifth of the time
        return text.encode().translate(None, _ASCII_SPACE).decode()
    return unicodedata.normalize("NFC", "".join(text.split()))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
