"""Whether a history that a client sends is the one that a team's state belongs to.

Fingerprints cover every question and answer but the last answer, as the client sent it. Each is made from the one
before it, so that of a conversation that goes on only what is new is hashed. The last answer is told apart:
it comes back in the form in which it was shown, and each presentation shows another. Clients change white space on the
way; everything else in an answer counts, down to a `<` in a query that was shown. What a client adds to one request
only (documents that it found, a list of attached files) is no part of the conversation; nor are system messages, which
may tell the time: they are put in place of the earlier ones.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, get_args

from aiostream_server.config.model import Presentation
from aiostream_server.events import Entry, Event, Said, SpeechKind, Token
from aiostream_server.intake.json_text import encode, quote
from aiostream_server.intake.question import Turn
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import new_presenter
from aiostream_server.routing.question import routing_question

_PRESENTATIONS: Final[tuple[Presentation, ...]] = get_args(Presentation)
_ASCII_SPACE: Final = b"\t\n\v\f\r\x1c\x1d\x1e\x1f "


class Standing(NamedTuple):
    """Where a conversation stands: the `fingerprint` of all up to the last question, and its `answer`'s. `last` is the
    turn with that answer: `fingerprint([last, ...], after=...)` goes on from here."""

    fingerprint: str
    answer: str
    last: Turn


def standing_of(history: Sequence[Turn]) -> Standing | None:
    """None where the last question was not answered."""
    talk = [turn for turn in history if turn.role != "system"]
    if not talk or talk[-1].role != "assistant" or talk[-1].tool_calls:
        return None
    *before, last = talk
    return Standing(fingerprint(before), _answer_print(last.text), last)


def fingerprint(turns: Iterable[Turn], *, after: str = "") -> str:
    """Of all but the system messages; `after` is that of the turns before these."""
    for turn in turns:
        if turn.role != "system":
            after = _sha256(f"{after}\n{_essence(turn)}")
    return after


def answer_prints(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Of a run's answer, as each presentation shows it. `entries` is the run's whole log."""
    events = list(_without_tokens(entries))
    texts = (undecorate(_shown(events, presentation)) for presentation in _PRESENTATIONS)
    return tuple({_answer_print(text): None for text in texts})


def _shown(events: Iterable[Event], presentation: Presentation) -> str:
    presenter = new_presenter(presentation)
    pieces = (shown for event in events for shown in presenter.show(event))
    return "".join(shown.text for shown in pieces if shown.channel == "content")


def _without_tokens(entries: Iterable[Entry]) -> Iterator[Event]:
    """Each streamed message as one token: a presentation makes the same of it."""
    kinds: dict[str, SpeechKind] = {}
    for entry in entries:
        event = entry.event
        if isinstance(event, Token):
            kinds[event.agent] = event.kind
            continue
        if isinstance(event, Said) and event.streamed and event.agent in kinds:
            yield Token(event.agent, event.content, kinds.pop(event.agent))
        yield event


def _essence(turn: Turn) -> str:
    """Lines of ASCII."""
    text = routing_question(turn.text) if turn.role == "user" else turn.text.strip()
    if turn.role == "assistant":
        text = _answer_print(turn.text)
    images = [hashlib.sha256(image.base64.encode()).hexdigest() for image in turn.images]
    calls = [[call.call_id, call.name, call.arguments] for call in turn.tool_calls]
    more = [turn.name, images, calls, turn.call_id]
    return f"{turn.role}\n{quote(text)}\n{encode(more) if any(more) else ''}"


def _answer_print(text: str) -> str:
    return _sha256(quote(_without_space(text)))


def _without_space(text: str) -> str:
    if text.isascii():  # the same, in a fifth of the time
        return text.encode().translate(None, _ASCII_SPACE).decode()
    return unicodedata.normalize("NFC", "".join(text.split()))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()
