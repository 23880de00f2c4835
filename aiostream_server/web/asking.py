"""One handler for every protocol that asks: read the question, start a run, answer as the body wants it.

Everything that can be refused is refused before a run starts, and before the headers of a stream are sent.
"""

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Generic

import structlog
from aiohttp import web

from aiostream_server.config.model import Presentation
from aiostream_server.events import Answer, RunFinished
from aiostream_server.intake.body import check_headers
from aiostream_server.intake.conversation import Conversation, chain, is_open_webui, read_conversation
from aiostream_server.intake.principal import Principal
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.protocol import Reader
from aiostream_server.protocols.dialect import Asked, Delivery, Dialect, DisplayOptions, Options
from aiostream_server.routing.auxiliary.kinds import Auxiliary
from aiostream_server.runs.card import RunCard, RunView
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.starts import Idempotency
from aiostream_server.teams.catalogue import TeamSpec
from aiostream_server.web.caller import (
    caller_of,
    fingerprint_of,
    idempotency_of,
    link_base,
    own_links,
    path_prefix,
    watch_link,
)
from aiostream_server.web.display import chat_view
from aiostream_server.web.early_refusal import refuse_early
from aiostream_server.web.lasting import UntilWritten
from aiostream_server.web.middlewares import IS_PAGE, OBSERVER, RUN_HEADERS
from aiostream_server.web.models import examples_of
from aiostream_server.web.offer import NamedModel, Offer
from aiostream_server.web.state import state_of
from aiostream_server.web.stream import stream_run
from aiostream_server.web.traffic import read_body
from aiostream_server.web.whole import answer_whole, json_bytes

_log: Final = structlog.get_logger()
_SMALL_BYTES: Final = 256 * 1024  # a longer body is parsed in a thread: it would hold up the event loop
_SCHEMAS: Final = (
    b'"response_format"',
    b'"json_schema"',
    b'"tool_choice"',
)  # and so may a body with these: checking a schema takes time


@dataclass(frozen=True, slots=True)
class _Request(Generic[Options]):
    """A request that can be answered. `spec` is the team it names, None where the router chooses; `presentation` that
    in the model's id."""

    asked: Asked[Options]
    spec: TeamSpec | None
    presentation: Presentation | None
    offer: Offer
    principal: Principal
    conversation: Conversation | None
    is_page: bool
    idempotency: Idempotency | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Answering(Generic[Options]):
    """How to answer. Keeps nothing of the messages: a stream may last for minutes."""

    dialect: Dialect[Options]
    options: Options
    delivery: Delivery
    view: DisplayOptions


def ask(dialect: Dialect[Options]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """The handler of a path where questions in this protocol are asked."""

    async def handle(request: web.Request) -> web.StreamResponse:
        request[IS_PAGE] = dialect.serves_chat_pages and is_open_webui(request.headers)
        principal = caller_of(request)
        request[IS_PAGE] = dialect.serves_chat_pages and is_open_webui(request.headers, principal)
        is_full = refuse_early(request, principal, takes_auxiliary=dialect.serves_chat_pages)
        check_headers(request.headers)
        return await answer_body(request, dialect, principal, await read_body(request), is_full=is_full)

    return handle


async def answer_body(
    request: web.Request, dialect: Dialect[Options], principal: Principal, raw: bytes, *, is_full: bool = False
) -> web.StreamResponse:
    """Answer a question; its body was read. `is_full`: only an auxiliary question can be answered."""
    read = await _read(request, dialect, principal, raw, is_full=is_full)
    del raw  # a stream may last for minutes
    if dialect.serves_chat_pages and (auxiliary := _auxiliary(request, read.asked)) is not None:
        return await _answer_auxiliary(request, dialect, read, auxiliary)
    answering = _Answering(dialect, read.asked.options, read.asked.delivery, _view(request, dialect, read))
    run, headers = await _start(request, dialect, read)
    del read  # each message is a kilobyte of objects beside its text
    if answering.delivery == "background":
        headers = {**headers, "Location": dialect.path(run.id, answering.view.path_prefix)}
        body = dialect.whole(run.card(), answering.options, answering.view).body()
        return json_bytes(body, status=dialect.started_status, headers=headers)
    with UntilWritten(run.watch()) as until:
        return until.written(await _answer(request, answering, run.card(), until.entered, headers))


async def _read(
    request: web.Request, dialect: Dialect[Options], principal: Principal, raw: bytes, *, is_full: bool
) -> _Request[Options]:
    """Validate. Takes no slot and starts nothing. What a full server reads does not wait behind what starts."""
    state = state_of(request)
    offer = Offer(state.catalogue, principal)
    if not is_full:
        await state.registry.turn(principal.owner)
        refuse_early(request, principal, takes_auxiliary=dialect.serves_chat_pages)  # again: others came before it
    is_quick = len(raw) <= _SMALL_BYTES and not any(word in raw for word in _SCHEMAS)
    model = request.match_info.get("model")
    asked = dialect.question(raw, model) if is_quick else await asyncio.to_thread(dialect.question, raw, model)
    limits = state.config.limits
    asked.question.check_pictures(max_pixels=limits.max_image_pixels, max_bytes=limits.max_image_bytes)
    is_page = is_open_webui(request.headers, principal)
    named = offer.find(asked.model)
    return _Request(
        asked,
        named.spec,
        named.presentation,
        offer,
        principal,
        read_conversation(request.headers, state.config.open_webui, from_open_webui=is_page),
        is_page,
        idempotency_of(request, raw, dialect.name, asked.idempotency_key),
        await _fingerprint(request, raw, dialect.name),
    )


async def _fingerprint(request: web.Request, raw: bytes, protocol: str) -> str:
    """A digest of the bytes as sent: a client library repeats them unchanged. Empty where failures are forgotten."""
    if not state_of(request).config.server.failure_memory_s:
        return ""
    if len(raw) <= _SMALL_BYTES:
        return fingerprint_of(request, raw, protocol)
    return await asyncio.to_thread(fingerprint_of, request, raw, protocol)


def _view(request: web.Request, dialect: Dialect[Options], read: _Request[Options]) -> DisplayOptions:
    """Raises `InvalidRequest` for an unknown presentation in the header."""
    if not dialect.serves_chat_pages:
        prefix, link = path_prefix(request), watch_link(request)
        return DisplayOptions(path_prefix=prefix, watch_link=link, is_own_link=own_links(request))
    named = NamedModel(read.asked.model, read.spec, read.presentation)
    asked = read.asked.question
    return chat_view(
        request,
        named,
        read.principal,
        is_page=read.is_page,
        is_continuation=asked.is_continuation,
        is_json=asked.form is not None,
        is_spoken=asked.is_spoken,
    )


def _conversation(read: _Request[Options]) -> Conversation | None:
    """The conversation that the headers name. Without one an answer that is stored begins a chain, except for a page,
    which resends its chats and may show one that is not to be kept."""
    named, is_stored = read.conversation, read.asked.is_stored
    if named is None:
        return chain(None) if is_stored and not read.is_page else None
    return named if is_stored is not False else replace(named, is_kept=False)


async def _start(
    request: web.Request, dialect: Dialect[Options], read: _Request[Options]
) -> tuple[RunView, Mapping[str, str]]:
    """Start a run, or find the one that its idempotency key started; and the headers of every answer about it.

    Raises `TooManyRuns` and `ShuttingDown`, `Conflict` where the conversation is busy, and `InvalidRequest` for images
    that none of the teams can see.
    """
    asked, state = read.asked, state_of(request)
    wanted = RunRequest(
        asked.question,
        asked.model,
        read.spec,
        read.offer.teams_for(asked.question, read.spec),
        owner=read.principal.owner,
        on_disconnect=asked.on_disconnect,
        by_default=dialect.on_disconnect,
        conversation=asked.conversation or _conversation(read),
        link_base=link_base(request),
        fingerprint=read.fingerprint,
        protocol=dialect.name,
        kept=asked.kept,
        run_id=asked.run_id,
        replies_to=asked.replies_to,
        tells_waiting=read.is_page and asked.delivery == "stream",
    )
    run, is_replay = await state.registry.find_or_start(wanted, read.idempotency, state.resources)
    replayed = {"Idempotent-Replayed": "true"} if is_replay else {}
    headers = request[RUN_HEADERS] = {"X-Run-Id": run.id, **replayed}
    return run, headers


async def _answer(
    request: web.Request,
    answering: _Answering[Options],
    card: RunCard,
    reader: Reader,
    headers: Mapping[str, str],
) -> web.StreamResponse:
    dialect, view, config = answering.dialect, answering.view, state_of(request).config
    if answering.delivery == "stream":
        frames = dialect.stream(card, answering.options, view)
        coalesce_s = 0.0 if view.page is None else config.open_webui.coalesce_ms / 1_000
        headers = {**headers, **dialect.headers}
        return await stream_run(request, headers, reader, frames, config.server, coalesce_s=coalesce_s)
    collector = dialect.whole(card, answering.options, view)
    return await answer_whole(request, headers, reader, collector, dialect.refusal, config.server)


def _auxiliary(request: web.Request, asked: Asked[Options]) -> Auxiliary | None:
    """A title or the like, which a client asks for beside the conversation."""
    state = state_of(request)
    task = request.headers.get(state.config.open_webui.task_header)
    return state.auxiliary.recognise(asked.question, task, is_streamed=asked.delivery == "stream")


async def _answer_auxiliary(
    request: web.Request, dialect: Dialect[Options], read: _Request[Options], auxiliary: Auxiliary
) -> web.StreamResponse:
    """Answer without a team, out of a log that holds nothing but the answer. Takes at most the model's timeout."""
    started = time.monotonic()
    spec = read.spec
    examples = examples_of(read.offer.routed_specs()) if spec is None else spec.config.examples
    answer = await state_of(request).auxiliary.answer(auxiliary, "" if spec is None else spec.name, examples)
    seconds = round(time.monotonic() - started, 4)
    _log.info("auxiliary_answered", kind=auxiliary.kind, seconds=seconds, by=answer.by)
    request.app[OBSERVER].auxiliary(auxiliary.kind, by=answer.by)
    log = MemoryLog(secrets.token_hex(16))
    log.append(Answer("", answer.text, tool=auxiliary.wrapping.tool), RunFinished("stop", answer.usage, seconds))
    now, kept = time.time(), read.asked.kept
    card = RunCard(log.run_id, read.asked.model, None, None, "cancel", now, 2, None, None, "", dialect.name, kept)
    answering = _Answering(dialect, read.asked.options, read.asked.delivery, DisplayOptions("answer"))
    with UntilWritten(log.reader()) as until:
        return until.written(await _answer(request, answering, card, until.entered, {}))
