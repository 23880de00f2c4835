"""`/v1/runs`, this server's own protocol: a run's typed events as they stand in its log, and the run as an object.

`docs/runs-api.md` is its manual.
"""

from typing import Final

from aiostream_server.intake.body import parse_body
from aiostream_server.intake.conversation import Conversation
from aiostream_server.protocols.chat.errors import refusal
from aiostream_server.protocols.chat.request import read_question
from aiostream_server.protocols.dialect import Asked, Delivery, Dialect, DisplayOptions
from aiostream_server.protocols.runs.request import RunBody
from aiostream_server.protocols.runs.stream import EventFrames
from aiostream_server.protocols.runs.whole import RunCollector
from aiostream_server.runs.card import RunCard


def _question(raw: bytes, model: str | None) -> Asked[None]:
    body = parse_body(raw, RunBody, given={} if model is None else {"model": model})
    delivery: Delivery = "background" if body.background else "stream"
    named = None if body.conversation is None else Conversation(body.conversation, resends=False)
    question = read_question(body, is_chained=named is not None)
    return Asked(body.model, question, delivery, None, body.on_disconnect, named)


def _stream(card: RunCard, _: None, __: DisplayOptions) -> EventFrames:
    return EventFrames(card.id)


def _whole(card: RunCard, _: None, view: DisplayOptions) -> RunCollector:
    return RunCollector(card, view.path_prefix, view.watch_link)


RUNS: Final = Dialect("runs", _question, _stream, _whole, refusal, on_disconnect="continue", serves_chat_pages=False)
