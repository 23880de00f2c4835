"""A run as an object, and a list of runs."""

import json
from collections.abc import Iterable, Sequence
from typing import Literal, NotRequired, TypedDict

from msgspec import structs

from aiostream_server.config.model import OnDisconnect
from aiostream_server.events import Entry, Error, FinishReason, Routing, RunFinished
from aiostream_server.protocols.chat.whole import UsageBody, usage_body
from aiostream_server.protocols.dialect import WatchLink, run_path
from aiostream_server.protocols.json_schema import Natural, Seconds
from aiostream_server.runs.card import RunCard


class RunError(TypedDict):
    code: str
    message: str


class RunObject(TypedDict):
    """Every key is always there, and a value that is not known (yet) is null; only `watch_url` is left out where the
    server does not know its own address."""

    id: str
    object: Literal["run"]
    status: Literal["running", "finished"]
    reason: FinishReason | None
    model: str
    question: str
    team: str | None
    conversation: str | None
    on_disconnect: OnDisconnect
    created_at: Natural
    duration_s: Seconds | None
    usage: UsageBody | None
    last_seq: Natural
    error: RunError | None
    events_url: str
    watch_url: NotRequired[str]


class RunList(TypedDict):
    object: Literal["list"]
    data: list[RunObject]


class RunCollector:
    """`protocols.dialect.Collector`: the run as it stands after the entries that it was given."""

    def __init__(self, card: RunCard, path_prefix: str = "", watch_link: WatchLink | None = None) -> None:
        self._card = card
        self._path_prefix = path_prefix
        self._watch_link = watch_link

    def add(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            card = self._card = structs.replace(self._card, last_seq=entry.seq)
            match entry.event:
                case Routing(team=str(team)):
                    self._card = structs.replace(card, team=team)
                case Error() as error:
                    self._card = structs.replace(card, error=error)
                case RunFinished() as finished:
                    self._card = structs.replace(card, finished=finished)

    def body(self) -> bytes:
        return json.dumps(_run(self._card, self._path_prefix, self._watch_link)).encode()


def runs_body(cards: Iterable[RunCard], path_prefix: str = "", watch_link: WatchLink | None = None) -> bytes:
    body: RunList = {"object": "list", "data": [_run(card, path_prefix, watch_link) for card in cards]}
    return json.dumps(body).encode()


def _run(card: RunCard, path_prefix: str, watch_link: WatchLink | None) -> RunObject:
    finished, error = card.finished, card.error
    run: RunObject = {
        "id": card.id,
        "object": "run",
        "status": "running" if finished is None else "finished",
        "reason": finished.reason if finished is not None else None,
        "model": card.model,
        "question": card.question,
        "team": card.team,
        "conversation": card.conversation,
        "on_disconnect": card.on_disconnect,
        "created_at": int(card.created_at),
        "duration_s": finished.duration_s if finished is not None else None,
        "usage": usage_body(finished.usage) if finished is not None else None,
        "last_seq": card.last_seq,
        "error": {"code": error.code, "message": error.message} if error is not None else None,
        "events_url": f"{run_path(card.id, path_prefix)}/events",
    }
    if watch_link is not None:
        run["watch_url"] = watch_link(card)
    return run
