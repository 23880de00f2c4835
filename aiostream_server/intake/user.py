"""The user behind a key that many users share, as the headers name it.

* `X-User-ID` is believed from trusted keys.
* `X-OpenWebUI-User-Id`, `-Name`, `-Email` and `-Role` are believed from trusted keys, but only where no secret for Open
  WebUI's signed token is configured: Open WebUI then sends the token in their place.
* The token, a JSON Web Token in `X-OpenWebUI-User-Jwt`, is believed from every key, since it is signed.
  Open WebUI (0.12.4: `utils/headers.py`) sends it where its `FORWARD_USER_INFO_HEADER_JWT_SECRET` is set, valid for
  300 s. https://www.rfc-editor.org/rfc/rfc7519

From other keys these headers have no effect.
"""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

import jwt
from multidict import MultiMapping
from pydantic import SecretStr

from aiostream_server.errors import InvalidRequest, Unauthorized
from aiostream_server.intake.headers import MAX_IDENTIFIER_CHARS, has_placeholder, identifier, only_value
from aiostream_server.intake.principal import Principal, User

USER_TOKEN_HEADER: Final = "X-OpenWebUI-User-Jwt"  # noqa: S105 - a header's name
LEEWAY_S: Final = 30.0
"""By how much the clocks of Open WebUI's machine and of this one may differ."""
_ISSUER: Final = "open-webui"
_INVALID: Final[Mapping[type[jwt.PyJWTError], str]] = {
    jwt.ExpiredSignatureError: "has expired; if it is new, the clocks of the two machines differ",
    jwt.ImmatureSignatureError: "was made in the future: the clocks of the two machines differ",
    jwt.InvalidSignatureError: "is signed with another secret than the one configured here",
    jwt.InvalidIssuerError: f"is not issued by {_ISSUER}",
}
_HMAC_BLOCK_BYTES: Final = 64
_USER_ID: Final = "X-User-ID"
_OPEN_WEBUI: Final = "X-OpenWebUI-User-"


def read_user(headers: MultiMapping[str], principal: Principal, token_secret: SecretStr | None) -> User | None:
    """None where no user is named: the key itself is then the owner.

    Raises `InvalidRequest` for headers that are sent twice, disagree, or are an unfilled template, and `Unauthorized`
    for an invalid token.
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
    """Open WebUI percent-encodes only the name (0.6.36: `routers/openai.py`, 0.12.4: `utils/headers.py`)."""
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
        raise InvalidRequest(f"the header {name} is a template that was not filled in: all users would be one")
    return user_id


def _shown(text: str) -> str:
    """Drops characters that cannot be printed: users choose these names, and an odd name must not lock a user out."""
    return "".join(filter(str.isprintable, text))[:MAX_IDENTIFIER_CHARS].strip()


def read_token(token: str, secret: SecretStr) -> User:
    """Raise `Unauthorized` for an invalid token, with a message that repeats nothing of it."""
    if not token.isascii():
        raise _refused("is no token")
    try:
        claims = jwt.decode(
            token,
            _hmac_key(secret),
            algorithms=["HS256"],
            issuer=_ISSUER,
            leeway=LEEWAY_S,
            options={"require": ["iss", "exp", "sub"]},
        )
    except jwt.MissingRequiredClaimError as exc:
        raise _refused(f"lacks the claim {exc.claim}") from None
    except jwt.PyJWTError as exc:
        raise _refused(_INVALID.get(type(exc), "is no token that Open WebUI signs (HS256)")) from None
    return User(_text(claims, "sub"), _text(claims, "name"), _text(claims, "email"), _text(claims, "role"))


def _hmac_key(secret: SecretStr) -> bytes:
    """Pad a short key with zeros, as HMAC does itself (RFC 2104, section 2): PyJWT would warn of it with every request.
    The configuration's notes warn once."""
    return secret.get_secret_value().encode().ljust(_HMAC_BLOCK_BYTES, b"\0")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _refused(why: str) -> Unauthorized:
    return Unauthorized(f"the token in {USER_TOKEN_HEADER} {why}")
