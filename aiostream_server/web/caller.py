"""What a request says of its caller: the key and the user, the idempotency key, and the address it came by."""

import re
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import decode_json
from aiostream_server.intake.json_text import canonical
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.intake.principal import Principal, authenticate
from aiostream_server.intake.user import read_user
from aiostream_server.protocols.dialect import WatchLink
from aiostream_server.runs.starts import Idempotency
from aiostream_server.web.state import state_of

_IDEMPOTENCY_KEY: Final = "Idempotency-Key"
_PRINTABLE: Final = re.compile(r"[ -~]{1,255}")
_PART_OF_THE_QUESTION: Final = ("X-Conversation-Id", "X-OpenWebUI-Chat-Id", "X-Presentation")
_WATCH_S: Final = 86_400
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?", re.ASCII)


def caller_of(request: web.Request) -> Principal:
    """The key, and the user behind it. From here on the request's log lines carry both.

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
    """aiohttp answers every request in a task, and so in a context, of its own: the next request on the connection does
    not inherit this. A run that is started here does."""
    if caller.key_id is not None:
        structlog.contextvars.bind_contextvars(key=caller.key_id)
    if caller.user is not None:
        structlog.contextvars.bind_contextvars(user=caller.user.id)


def idempotency_of(request: web.Request, raw: bytes, protocol: str, in_body: str | None = None) -> Idempotency | None:
    """The `Idempotency-Key`, else the key `in_body`, with a fingerprint of the question; None without either. Raises
    `InvalidRequest`.

    The fingerprint covers what the body says, in whatever order its keys stand.
    https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/
    """
    keys = request.headers.getall(_IDEMPOTENCY_KEY, () if in_body is None else (in_body,))
    if not keys:
        return None
    if len(keys) > 1 or not _PRINTABLE.fullmatch(keys[0]):
        message = f"{_IDEMPOTENCY_KEY} must be 1 to 255 printable ASCII characters, sent once"
        raise InvalidRequest(message, param=_IDEMPOTENCY_KEY)
    return Idempotency(keys[0], fingerprint_of(request, canonical(decode_json(raw)), protocol))


def fingerprint_of(request: web.Request, body: bytes, protocol: str) -> str:
    """A digest of the protocol, the path (without `/api`), the headers that are part of the question, and `body`."""
    path = request.path.removeprefix("/api").replace("//", "/")
    said = (request.headers.get(name, "") for name in _PART_OF_THE_QUESTION)
    asked = sha256("\0".join((protocol, path, *said)).encode("utf-8", "surrogateescape") + b"\0")
    asked.update(body)
    return asked.hexdigest()


def path_prefix(request: web.Request) -> str:
    """What stands before `/v1` in the request's path: a client that came by `/api` gets links below `/api`."""
    return "/api" if request.path.startswith("/api/") else ""


def link_base(request: web.Request) -> str:
    """What absolute links to this server begin with, without a slash at the end; empty where that is not known.

    `[server] public_url`, or the request's own scheme and `Host`. A client that sends a wrong `Host` gets wrong links
    in its own answer only. `X-Forwarded-*` is not believed, since any client can send it: behind a proxy that changes
    the host or the scheme, links need `public_url`.
    """
    public_url = state_of(request).config.server.public_url
    if public_url is not None:
        return public_url.rstrip("/")
    hosts = request.headers.getall("Host", ())
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        return ""
    return f"{request.scheme}://{hosts[0]}"


def watch_link(request: web.Request) -> WatchLink | None:
    """Signs links for `_WATCH_S` from the start of their run. None where the own address is not known."""
    files, base = state_of(request).resources.files, link_base(request)
    if files is None or not base:
        return None
    return lambda card: files.links.watch_link(base, card.id, int(card.created_at) + _WATCH_S)


def own_links(request: web.Request) -> Callable[[str], bool]:
    """A test for URLs: whether one is a validly signed link to a file of this server, as this client reaches it."""
    files = state_of(request).resources.files
    return _none if files is None else partial(files.links.is_own, base=link_base(request))


def _none(_: str) -> bool:
    return False
