"""What `/v1/runs` takes and tells: a chat request that says how its run is to be treated, and the run as an object."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from pydantic import Field

from aiostream_server.events.model import Error, RunFinished
from aiostream_server.wire.completion import usage_body
from aiostream_server.wire.request import ChatRequest

MAX_CONVERSATION_CHARS: Final = 255
CONVERSATION_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
"""No control characters."""

_Conversation = Annotated[str, Field(min_length=1, max_length=MAX_CONVERSATION_CHARS, pattern=CONVERSATION_PATTERN)]


class RunBody(ChatRequest):
    """A chat completion request, whose `stream` has no meaning here, and three fields more."""

    background: bool = False
    on_disconnect: Literal["cancel", "continue"] | None = None
    conversation: _Conversation | None = None


@dataclass(frozen=True, slots=True)
class RunCard:
    """A run as its owner may see it. `created_at` is Unix time in seconds; `finished` and `error` are its last events,
    where there are such; `path` is where it is served; `team` is None while that is being decided."""

    id: str
    path: str
    model: str
    team: str | None
    conversation: str | None
    on_disconnect: str
    created_at: int
    last_seq: int
    finished: RunFinished | None
    error: Error | None


def run_body(card: RunCard) -> dict[str, object]:
    """Every key is always there; what is not known (yet) is null."""
    finished, error = card.finished, card.error
    return {
        "id": card.id,
        "object": "run",
        "status": "running" if finished is None else "finished",
        "reason": finished.reason if finished is not None else None,
        "model": card.model,
        "team": card.team,
        "conversation": card.conversation,
        "on_disconnect": card.on_disconnect,
        "created_at": card.created_at,
        "duration_s": finished.duration_s if finished is not None else None,
        "usage": usage_body(finished.usage) if finished is not None else None,
        "last_seq": card.last_seq,
        "error": {"code": error.code, "message": error.message} if error is not None else None,
        "events_url": f"{card.path}/events",
    }


def runs_body(cards: Iterable[RunCard]) -> dict[str, object]:
    return {"object": "list", "data": [run_body(card) for card in cards]}
