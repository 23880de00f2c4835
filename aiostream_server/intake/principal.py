"""Authentication: the principal is the key that a request presents, and with `intake.user` the user behind it.

Keys come as `Authorization: Bearer KEY`, `X-API-Key: KEY`, or Azure's `api-key: KEY`. A server without keys serves only
its own machine (`intake.loopback`); there a presented key is ignored, and the caller is trusted. No message repeats a
key.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from multidict import MultiMapping

from aiostream_server.config.model import ClientKind, Presentation
from aiostream_server.errors import Forbidden, InvalidRequest, Unauthorized
from aiostream_server.intake.headers import only_value
from aiostream_server.intake.keys import Key, KeyRing, Scope

_WHAT_FOR: Final[Mapping[Scope, str]] = {
    "ask": "this key reads /metrics, and nothing else",
    "metrics": "this key may not read /metrics; `aiostream-server keys create NAME --metrics` makes one that may",
}
_KEY_HEADERS: Final = ("X-API-Key", "api-key")
_HOW: Final = "send `Authorization: Bearer KEY` or `X-API-Key: KEY`"


@dataclass(frozen=True, slots=True)
class User:
    """A person behind a trusted key, as that key's holder names them."""

    id: str
    name: str = ""
    email: str = ""
    role: str = ""


class Owner(NamedTuple):
    """The owner of a run or a conversation: a key, or one user of it. No other caller may learn that it exists."""

    key_id: str | None = None
    user_id: str | None = None


LOCAL_OWNER: Final = Owner()
"""The owner of everything on a server without keys, unless a user is named."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller. `trusted`: its headers about the `user` behind it are believed. `client`: the program that the key was
    made for, if that is known. `presentation` is the key's."""

    key_id: str | None
    name: str
    allowed_models: frozenset[str] | None
    trusted: bool
    client: ClientKind | None = None
    user: User | None = None
    presentation: Presentation | None = None

    @property
    def owner(self) -> Owner:
        return Owner(self.key_id, None if self.user is None else self.user.id)


LOCAL: Final = Principal(key_id=None, name="local", allowed_models=None, trusted=True)


def authenticate(headers: MultiMapping[str], ring: KeyRing, scope: Scope = "ask") -> Principal:
    """The principal of a request.

    Raises `Unauthorized` for no key or a wrong one, `Forbidden` for a key of another scope, and `InvalidRequest` where
    two different keys are presented.
    """
    if not ring:
        return LOCAL
    # Clients with a field for each header send the other one empty.
    presented = {key for key in (_bearer(headers), *(only_value(headers, name) for name in _KEY_HEADERS)) if key}
    if len(presented) > 1:
        raise InvalidRequest("Authorization, X-API-Key and api-key present different keys: send one of them")
    if not presented:
        raise Unauthorized(f"an API key is needed: {_HOW}")
    key = ring.find(presented.pop())
    if key is None:
        raise Unauthorized("the API key is wrong, or was revoked")
    if key.scope != scope:
        raise Forbidden(_WHAT_FOR[scope])
    return _principal(key)


def _principal(key: Key) -> Principal:
    allowed = None if key.models is None else frozenset(key.models)
    return Principal(key.id, key.name, allowed, key.trust_user_headers, key.client, presentation=key.presentation)


def _bearer(headers: MultiMapping[str]) -> str | None:
    """The bearer token; None for other schemes, which a proxy in front of the server may use for itself."""
    scheme, _, key = (only_value(headers, "Authorization") or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else None
