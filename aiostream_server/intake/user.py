"""Which user asks, behind a key that many share: as the key's holder says, where it is believed.

* `X-User-ID` is believed from trusted keys.
* `X-OpenWebUI-User-Id`, `-Name`, `-Email` and `-Role` likewise, but only where no secret for Open WebUI's signed token
  is configured: Open WebUI then sends the token in their place.
* The token is believed from every key: its signature is what is trusted (`intake.user_token`).

From other keys these headers have no effect at all, whatever is in them.
"""

from typing import Final
from urllib.parse import unquote

from multidict import MultiMapping
from pydantic import SecretStr

from aiostream_server.errors import InvalidRequest, Unauthorized
from aiostream_server.intake.headers import MAX_IDENTIFIER_CHARS, has_placeholder, identifier, only_value
from aiostream_server.intake.principal import Principal, User
from aiostream_server.intake.user_token import USER_TOKEN_HEADER, read_token

_USER_ID: Final = "X-User-ID"
_OPEN_WEBUI: Final = "X-OpenWebUI-User-"


def read_user(headers: MultiMapping[str], principal: Principal, token_secret: SecretStr | None) -> User | None:
    """None where nobody is named: what is asked is then the key's own.

    Raises `InvalidRequest` for headers that are sent twice, that disagree, or that name no user; `Unauthorized` for a
    token that is not valid.
    """
    named = _user_id(headers, _USER_ID) if principal.trusted else None
    if token_secret is not None:
        described, source = _from_token(headers, token_secret), USER_TOKEN_HEADER
        if described is None and principal.trusted and f"{_OPEN_WEBUI}Id" in headers:
            raise Unauthorized(f"{_OPEN_WEBUI}Id is not believed without the signed token in {USER_TOKEN_HEADER}")
    else:
        described, source = _from_headers(headers) if principal.trusted else None, f"{_OPEN_WEBUI}Id"
    if described is None:
        return None if named is None else User(named)
    if named not in (None, described.id):
        raise InvalidRequest(f"{_USER_ID} and {source} name different users")
    return described


def _from_headers(headers: MultiMapping[str]) -> User | None:
    """Of these, Open WebUI percent-encodes the name only (0.6.36: `routers/openai.py`, 0.12.4: `utils/headers.py`)."""
    user_id = _user_id(headers, f"{_OPEN_WEBUI}Id")
    name, email, role = (only_value(headers, f"{_OPEN_WEBUI}{part}") or "" for part in ("Name", "Email", "Role"))
    return None if user_id is None else User(user_id, _shown(unquote(name)), _shown(email), _shown(role))


def _from_token(headers: MultiMapping[str], secret: SecretStr) -> User | None:
    token = only_value(headers, USER_TOKEN_HEADER)
    if not token:
        return None
    user = read_token(token, secret)
    if not user.id or len(user.id) > MAX_IDENTIFIER_CHARS or not user.id.isprintable():
        raise Unauthorized(f"the token in {USER_TOKEN_HEADER} names no user")
    return User(user.id, _shown(user.name), _shown(user.email), _shown(user.role))


def _user_id(headers: MultiMapping[str], name: str) -> str | None:
    user_id = identifier(headers, name)
    if user_id is not None and has_placeholder(user_id):
        raise InvalidRequest(f"the header {name} is a template that nobody filled in: all users would be one")
    return user_id


def _shown(text: str) -> str:
    """People name themselves: what cannot be printed is left out, and shuts nobody out."""
    return "".join(filter(str.isprintable, text))[:MAX_IDENTIFIER_CHARS].strip()
