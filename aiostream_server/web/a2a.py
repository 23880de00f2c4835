"""The two bindings of A2A: JSON-RPC at `/a2a/{model}`, and HTTP+JSON below it; and where the agent cards are.

https://a2a-protocol.org/latest/specification/#53-method-mapping-reference
"""

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from aiostream_server.intake.body import check_headers, decode_json
from aiostream_server.intake.principal import Principal
from aiostream_server.protocols.a2a.errors import refusal, refusal_for, rest_refusal, version_not_supported
from aiostream_server.protocols.json_rpc import METHOD_NOT_FOUND, RpcError, around_result, read_request
from aiostream_server.web.a2a_cards import WELL_KNOWN, get_card
from aiostream_server.web.a2a_operations import OPERATIONS, Call
from aiostream_server.web.caller import caller_of
from aiostream_server.web.early_refusal import refuse_early
from aiostream_server.web.middlewares import REFUSAL, REFUSALS, Refusal
from aiostream_server.web.offer import Offer
from aiostream_server.web.state import Handler, state_of
from aiostream_server.web.traffic import read_body

_SMALL_BYTES: Final = 64 * 1024
_VERSION: Final = "A2A-Version"
_TASK: Final = "tasks/{id:[^/:]+}"
_REST: Final = (
    ("POST", "message:send", "SendMessage"),
    ("POST", "message:stream", "SendStreamingMessage"),
    ("GET", "tasks", "ListTasks"),
    ("GET", _TASK, "GetTask"),
    ("POST", f"{_TASK}:cancel", "CancelTask"),
    ("GET", f"{_TASK}:subscribe", "SubscribeToTask"),
    ("POST", f"{_TASK}:subscribe", "SubscribeToTask"),
    ("POST", f"{_TASK}/pushNotificationConfigs", "CreateTaskPushNotificationConfig"),
    ("GET", f"{_TASK}/pushNotificationConfigs", "ListTaskPushNotificationConfigs"),
    ("GET", f"{_TASK}/pushNotificationConfigs/{{config}}", "GetTaskPushNotificationConfig"),
    ("DELETE", f"{_TASK}/pushNotificationConfigs/{{config}}", "DeleteTaskPushNotificationConfig"),
    ("GET", "extendedAgentCard", "GetExtendedAgentCard"),
)


def add_a2a_routes(app: web.Application) -> None:
    """Add the routes, each also below `/api`."""
    add = app.router.add_route
    for prefix in ("", "/api"):
        app.router.add_get(f"{prefix}/{WELL_KNOWN}", get_card)
        base = f"{prefix}/a2a/{{model}}"
        app.router.add_get(f"{base}/{WELL_KNOWN}", get_card)
        app[REFUSALS][add("POST", base, _call_by_rpc)] = refusal
        for method, path, operation in _REST:
            app[REFUSALS][add(method, f"{base}/{path}", _call_by_path(operation))] = rest_refusal


async def _call_by_rpc(request: web.Request) -> web.StreamResponse:
    principal, raw = await _body(request)
    call = read_request(raw) if len(raw) <= _SMALL_BYTES else await asyncio.to_thread(read_request, raw)
    del raw  # a stream may last for minutes
    refused: Refusal = refusal_for(call.id)
    request[REFUSAL] = refused
    _check(request, principal)
    operation = OPERATIONS.get(call.method)
    if operation is None:
        known = ", ".join(OPERATIONS)
        raise RpcError(METHOD_NOT_FOUND, f"there is no method {call.method[:80]!r}; there are: {known}")
    return await operation(Call(request, principal, call.params, around_result(call.id), refused))


def _call_by_path(name: str) -> Handler:
    """The handler of one operation in the HTTP+JSON binding."""
    operation = OPERATIONS[name]

    async def handle(request: web.Request) -> web.StreamResponse:
        sent: Mapping[str, object] = {}
        # A browser sends `Origin` with every POST of a page: without a body such a POST needs no preflight.
        if request.method == "POST" and (request.can_read_body or "Origin" in request.headers):
            principal, raw = await _body(request)
            if raw:
                sent = decode_json(raw) if len(raw) <= _SMALL_BYTES else await asyncio.to_thread(decode_json, raw)
            del raw
        else:
            principal = caller_of(request)
        _check(request, principal)
        params: Mapping[str, object] = {**request.query, **sent, **request.match_info}
        return await operation(Call(request, principal, params, ("", ""), rest_refusal))

    return handle


async def _body(request: web.Request) -> tuple[Principal, bytes]:
    """A full server reads no long body: only a message is that long."""
    principal = caller_of(request)
    check_headers(request.headers)
    if request.content_length is None or request.content_length > _SMALL_BYTES:
        refuse_early(request, principal, takes_auxiliary=False)
    return principal, await read_body(request)


def _check(request: web.Request, principal: Principal) -> None:
    """Refuse an unknown version (the patch number does not count) and an unknown model."""
    sent = (request.headers.get(_VERSION) or request.query.get(_VERSION, "")).strip()
    if ".".join(sent.split(".")[:2]) != "1.0":
        raise version_not_supported(sent)
    Offer(state_of(request).catalogue, principal).find(request.match_info["model"])
