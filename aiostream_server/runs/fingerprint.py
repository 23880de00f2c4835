"""Whether a history that a client sends is the one that a team's state belongs to.

Fingerprints cover every question and answer but the last answer, as the client sent it. The last answer is told apart:
it comes back in the form in which it was shown, and each presentation shows another. Clients change white space on the
way; everything else in an answer counts, down to a `<` in a query that was shown. What a client adds to one request
only (documents that it found, a list of attached files) is no part of the conversation; nor are system messages, which
may tell the time: they are put in place of the earlier ones.
"""

import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, get_args

from aiostream_server.config.model import Presentation
from aiostream_server.events import Entry, Event, Said, SpeechKind, Token
from aiostream_server.intake.question import Turn
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.present import new_presenter
from aiostream_server.routing.question import routing_question

_PRESENTATIONS: Final[tuple[Presentation, ...]] = get_args(Presentation)


class Standing(NamedTuple):
    """Where a conversation stands: the `fingerprint` of all up to the last question, and its `answer`'s."""

    fingerprint: str
    answer: str


def standing_of(history: Sequence[Turn]) -> Standing | None:
    """None where the last question was not answered."""
    talk = [turn for turn in history if turn.role != "system"]
    if not talk or talk[-1].role != "assistant" or talk[-1].tool_calls:
        return None
    *before, last = talk
    return Standing(fingerprint(before), _answer_print(last.text))


def fingerprint(turns: Sequence[Turn]) -> str:
    """Of all but the system messages."""
    return _digest([_essence(turn) for turn in turns if turn.role != "system"])


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


def _essence(turn: Turn) -> list[object]:
    text = routing_question(turn.text) if turn.role == "user" else turn.text.strip()
    if turn.role == "assistant":
        text = _answer_print(turn.text)
    images = [hashlib.sha256(image.base64.encode()).hexdigest() for image in turn.images]
    calls = [[call.call_id, call.name, call.arguments] for call in turn.tool_calls]
    return [turn.role, text, turn.name, images, calls, turn.call_id]


def _answer_print(text: str) -> str:
    return _digest(unicodedata.normalize("NFC", "".join(text.split())))


def _digest(value: object) -> str:
    # A client may send lone surrogates: ASCII JSON writes them as escapes.
    return hashlib.sha256(json.dumps(value).encode("ascii")).hexdigest()
