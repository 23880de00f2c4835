"""MCP over HTTP at `/mcp`: https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http

Each request is answered by itself, by any process. A client of an older version is given a session id, which is not
kept: it only tells which call a cancellation means. A client that leaves cancels its call.
"""

import asyncio
import secrets
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from aiostream_server.errors import Forbidden, ServerError
from aiostream_server.intake.body import check_headers
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.json_text import dump, encode
from aiostream_server.intake.principal import Owner, Principal
from aiostream_server.intake.question import Question, Turn
from aiostream_server.protocols.dialect import Asked
from aiostream_server.protocols.json_rpc import (
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    RpcError,
    RpcRequest,
    around_result,
    read_request,
)
from aiostream_server.protocols.mcp import NAME, dialect_for
from aiostream_server.protocols.mcp.call import CallOptions, error_result
from aiostream_server.protocols.mcp.errors import refusal, refusal_for
from aiostream_server.protocols.mcp.tools import (
    Arguments,
    TeamTool,
    discovered,
    initialized,
    listed,
    read_arguments,
    read_reply,
)
from aiostream_server.protocols.mcp.versions import check_version, elicits, meta_of
from aiostream_server.runs.registry import Registry
from aiostream_server.web.asking import answer_body
from aiostream_server.web.caller import caller_of
from aiostream_server.web.cors import is_allowed_page
from aiostream_server.web.early_refusal import refuse_early
from aiostream_server.web.middlewares import REFUSAL, REFUSALS, Refusal
from aiostream_server.web.models import cards_of
from aiostream_server.web.offer import AUTO, Offer
from aiostream_server.web.state import state_of
from aiostream_server.web.traffic import read_body
from aiostream_server.web.whole import json_bytes

_SMALL_BYTES: Final = 64 * 1024
_SESSION: Final = "Mcp-Session-Id"
_LATEST_RUNS: Final = 200
_LOOK_AGAIN_S: Final = (0.05, 0.15, 0.3, 0.5)


def add_mcp_routes(app: web.Application) -> None:
    """Add `/mcp` and `/api/mcp`. GET and DELETE are 405, as the specification has it."""
    for prefix in ("", "/api"):
        app[REFUSALS][app.router.add_post(f"{prefix}/mcp", _answer)] = refusal


async def _answer(request: web.Request) -> web.StreamResponse:
    _check_origin(request)
    principal = caller_of(request)
    check_headers(request.headers)
    if request.content_length is None or request.content_length > _SMALL_BYTES:
        refuse_early(request, principal, takes_auxiliary=False)  # only a call is that long
    raw = await read_body(request)
    call = read_request(raw) if len(raw) <= _SMALL_BYTES else await asyncio.to_thread(read_request, raw)
    del raw  # a call may last for minutes
    refused: Refusal = refusal_for(call.id)
    request[REFUSAL] = refused
    is_modern = check_version(call, request.headers)
    if not call.has_id:
        await _notified(request, principal, call)
        return web.Response(status=202)
    match call.method:
        case "initialize" if not is_modern:
            return _result(call, initialized(call.params), {_SESSION: f"mcp-{secrets.token_urlsafe(18)}"})
        case "ping" if not is_modern:
            return _result(call, {})
        case "server/discover" if is_modern:
            return _result(call, discovered())
        case "tools/list":
            return _result(call, listed(_tools(request, principal), is_modern=is_modern))
        case "tools/call":
            return await _call(request, principal, call, refused, is_modern=is_modern)
    status = 404 if is_modern else 200
    raise RpcError(METHOD_NOT_FOUND, f"there is no method {call.method[:80]!r}", http_status=status)


def _check_origin(request: web.Request) -> None:
    """Keeps web pages out, but for those of `[server] cors_origins` and the server's own. The origins of desktop
    programs have schemes of their own."""
    origin = request.headers.get("Origin")
    if origin is None or is_allowed_page(request):
        return
    scheme, _, host = origin.partition("://")
    if scheme in ("http", "https", "null") and host != request.headers.get("Host"):
        raise Forbidden(f"pages of {origin[:80]} may not use this server: add it to [server] cors_origins")


def _tools(request: web.Request, principal: Principal) -> list[TeamTool]:
    """The teams of the caller; `auto` where its key names nothing else."""
    state = state_of(request)
    offer = Offer(state.catalogue, principal)
    offered = [card for card in cards_of(state) if card.id in offer]
    shown = [card for card in offered if card.id != AUTO] or offered
    return [TeamTool(card.id, card.name, card.description, card.examples) for card in shown]


async def _call(
    request: web.Request, principal: Principal, call: RpcRequest, refused: Refusal, *, is_modern: bool
) -> web.StreamResponse:
    """What is wrong with the arguments, or keeps the team from beginning, is told to the model that calls."""
    name = call.params.get("name")
    tool = next((tool for tool in _tools(request, principal) if tool.id == name), None)
    if tool is None:
        raise RpcError(INVALID_PARAMS, f"there is no tool {name!r:.80}")
    try:
        arguments = _arguments(call, is_modern=is_modern)
        if arguments is None:
            return _result(call, error_result("The user has not answered the team's question.", is_modern=True))
        asked = _asked(request, call, tool, arguments, is_modern=is_modern)
        return await answer_body(request, dialect_for(asked, refused), principal, dump(call.params))
    except RpcError:
        raise
    except ServerError as exc:
        return _result(call, error_result(str(exc), is_modern=is_modern))


def _arguments(call: RpcRequest, *, is_modern: bool) -> Arguments | None:
    """Those of the call, or the user's reply to the team's question; None where the user has not replied."""
    if is_modern and (responses := call.params.get("inputResponses")) is not None:
        return read_reply(responses, call.params.get("requestState"))
    return read_arguments(call.params.get("arguments"))


def _asked(
    request: web.Request, call: RpcRequest, tool: TeamTool, arguments: Arguments, *, is_modern: bool
) -> Asked[CallOptions]:
    progress = meta_of(call).get("progressToken")
    token = progress if isinstance(progress, str | int) and not isinstance(progress, bool) else None
    talk = arguments.conversation or f"talk-{secrets.token_urlsafe(9)}"
    return Asked(
        tool.id,
        Question(Turn("user", arguments.question)),
        "stream" if "text/event-stream" in request.headers.get("Accept", "") else "whole",
        CallOptions(call.id, token, is_modern, tool.name, elicits=is_modern and elicits(call)),
        on_disconnect="cancel",
        conversation=Conversation(talk, resends=False, by_name=True),
        kept=_call_name(request, call.id),
    )


async def _notified(request: web.Request, principal: Principal, call: RpcRequest) -> None:
    """A client of a version with sessions cancels a call by a notification of its own. It may come before its call is
    known here, which another process has taken."""
    if call.method != "notifications/cancelled" or _SESSION not in request.headers:
        return
    state, wanted = state_of(request), _call_name(request, call.params.get("requestId"))
    for pause_s in (0.0, *(_LOOK_AGAIN_S if state.config.runs.is_shared else ())):
        await asyncio.sleep(pause_s)  # the other process tells Redis of its calls a moment after they began
        if await _stop_call(state.registry, principal.owner, wanted):
            return


async def _stop_call(registry: Registry, owner: Owner, wanted: bytes) -> bool:
    """Whether there is such a call. One that has ended is left alone."""
    is_found = False
    for run in await registry.list(owner, _LATEST_RUNS):
        card = run.card()
        if (card.protocol, card.kept) == (NAME, wanted):
            is_found = True
            if card.finished is None:
                await run.stop("cancelled")
    return is_found


def _call_name(request: web.Request, request_id: object) -> bytes:
    """Tells the calls of a session apart. Empty without a session."""
    session = request.headers.get(_SESSION)
    return b"" if session is None else dump([session[:200], request_id])


def _result(call: RpcRequest, result: object, headers: Mapping[str, str] | None = None) -> web.Response:
    before, behind = around_result(call.id)
    return json_bytes(f"{before}{encode(result)}{behind}".encode("ascii"), headers=headers)
