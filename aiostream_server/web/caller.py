"""Who is calling. Asked by every handler but those that tell whether the server lives."""

from dataclasses import replace

import structlog
from aiohttp import web

from aiostream_server.intake.loopback import check_local_host
from aiostream_server.intake.principal import Principal, authenticate
from aiostream_server.intake.user import read_user
from aiostream_server.web.state import state_of


def caller_of(request: web.Request) -> Principal:
    """The key, and the user behind it; the request's log lines carry both from here on.

    Raises `Unauthorized`; `Forbidden` where no keys exist and a web page may be the caller; `InvalidRequest` where two
    keys or two users are named.
    """
    state = state_of(request)
    check_local_host(request.headers, state.keys, request.version)
    principal = authenticate(request.headers, state.keys)
    user = read_user(request.headers, principal, state.config.open_webui.user_token_secret)
    caller = principal if user is None else replace(principal, user=user)
    _bind_to_log(caller)
    return caller


def _bind_to_log(caller: Principal) -> None:
    """aiohttp answers every request in a task, and so in a context, of its own: the next one on the connection knows
    nothing of it. A run that is started here does."""
    if caller.key_id is not None:
        structlog.contextvars.bind_contextvars(key=caller.key_id)
    if caller.user is not None:
        structlog.contextvars.bind_contextvars(user=caller.user.id)
