"""A question on its way to its run, whatever the run is shown as afterwards.

Two steps, between which a handler refuses what only it can refuse: `read_asked` takes nothing, `start_run` a slot.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from aiohttp import web

from aiostream_server.config.model import OnDisconnect
from aiostream_server.intake.body import check_headers, parse_body
from aiostream_server.intake.client_kind import is_open_webui
from aiostream_server.intake.conversation import Conversation, read_conversation
from aiostream_server.intake.principal import Principal
from aiostream_server.intake.question import Question, read_question
from aiostream_server.runs.card import RunView
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.starts import Idempotency
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.web.body import read_body
from aiostream_server.web.caller import caller_of
from aiostream_server.web.idempotency import idempotency_of
from aiostream_server.web.links import link_base
from aiostream_server.web.offer import Offer
from aiostream_server.web.state import state_of
from aiostream_server.wire.request import ChatRequest

_SMALL_BYTES: Final = 256 * 1024

_Body = TypeVar("_Body", bound=ChatRequest)


@dataclass(frozen=True, slots=True)
class Asked(Generic[_Body]):
    """A request that can be answered. `spec` is the team it names; None where the router chooses. `is_page`: the answer
    is shown in Open WebUI."""

    body: _Body
    question: Question
    spec: TeamSpec | None
    offer: Offer
    principal: Principal
    conversation: Conversation | None
    is_page: bool
    idempotency: Idempotency | None


@dataclass(frozen=True, slots=True)
class Started:
    """A run, and what every answer says of it."""

    run: RunView
    headers: Mapping[str, str]


async def read_asked(request: web.Request, shape: type[_Body]) -> Asked[_Body]:
    """Who asks, what, and of whom. Raises whatever is wrong with it."""
    principal = caller_of(request)
    offer = Offer(state_of(request).catalogue, principal)
    check_headers(request.headers)
    raw = await read_whole_body(request)
    body, question = await _understood(raw, request, shape)
    is_page = is_open_webui(request.headers, principal)
    return Asked(
        body,
        question,
        offer.find(body.model),
        offer,
        principal,
        read_conversation(request.headers, state_of(request).config.open_webui, from_open_webui=is_page),
        is_page,
        idempotency_of(request, raw),
    )


async def _understood(raw: bytes, request: web.Request, shape: type[_Body]) -> tuple[_Body, Question]:
    """A long conversation takes long enough to read for others to notice."""

    def understand() -> tuple[_Body, Question]:
        body = parse_body(raw, request.headers, shape)
        return body, read_question(body)

    return understand() if len(raw) <= _SMALL_BYTES else await asyncio.to_thread(understand)


async def start_run(
    request: web.Request,
    asked: Asked[_Body],
    *,
    on_disconnect: OnDisconnect | None = None,
    by_default: OnDisconnect,
    conversation: str | None = None,
) -> Started:
    """Start a run, or find the one that its idempotency key has started.

    Raises `TooManyRuns` and its like, `Conflict` where the conversation is busy, and `InvalidRequest` for images that
    nobody sees.

    `conversation` is named in the body; else the headers' counts.
    """
    wanted = RunRequest(
        asked.question,
        asked.body.model,
        asked.spec,
        asked.offer.teams_for(asked.question, asked.spec),
        owner=asked.principal.owner,
        on_disconnect=on_disconnect,
        by_default=by_default,
        conversation=asked.conversation if conversation is None else Conversation(conversation, resends=False),
        link_base=link_base(request),
    )
    state = state_of(request)
    run, is_replay = await state.registry.find_or_start(wanted, asked.idempotency, state.resources)
    replayed = {"Idempotent-Replayed": "true"} if is_replay else {}
    return Started(run, {"X-Run-Id": run.id, **replayed})


async def read_whole_body(request: web.Request) -> bytes:
    """Within the configured bounds."""
    server = state_of(request).config.server
    return await read_body(request, max_bytes=server.max_body_bytes, timeout_s=server.body_timeout_s)
