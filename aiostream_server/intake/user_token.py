"""Open WebUI's signed word on who asks: a JSON Web Token in `X-OpenWebUI-User-Jwt`.

Open WebUI (0.12.4: `utils/headers.py`) sends it in place of its `X-OpenWebUI-User-*` headers where its
`FORWARD_USER_INFO_HEADER_JWT_SECRET` is set; it is valid for 300 s there. https://www.rfc-editor.org/rfc/rfc7519
"""

from typing import Any, Final

import jwt
from pydantic import SecretStr

from aiostream_server.errors import Unauthorized
from aiostream_server.intake.principal import User

USER_TOKEN_HEADER: Final = "X-OpenWebUI-User-Jwt"  # noqa: S105 - a header's name
LEEWAY_S: Final = 30.0
"""How far the clocks of Open WebUI's machine and of this one may differ."""
_ISSUER: Final = "open-webui"
_HMAC_BLOCK_BYTES: Final = 64


def read_token(token: str, secret: SecretStr) -> User:
    """Raise `Unauthorized`, in words that repeat nothing of the token."""
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
    except jwt.ExpiredSignatureError:
        raise _refused("has expired; if it is new, the clocks of the two machines differ") from None
    except jwt.ImmatureSignatureError:
        raise _refused("was made in the future: the clocks of the two machines differ") from None
    except jwt.InvalidSignatureError:
        raise _refused("is signed with another secret than the one configured here") from None
    except jwt.InvalidIssuerError:
        raise _refused(f"is not issued by {_ISSUER}") from None
    except jwt.MissingRequiredClaimError as exc:
        raise _refused(f"lacks the claim {exc.claim}") from None
    except jwt.PyJWTError:
        raise _refused("is no token that Open WebUI signs (HS256)") from None
    return User(_text(claims, "sub"), _text(claims, "name"), _text(claims, "email"), _text(claims, "role"))


def _hmac_key(secret: SecretStr) -> bytes:
    """HMAC itself fills a short key up with zeros (RFC 2104, section 2): the same key, of a length that PyJWT does not
    warn about with every request. The configuration's notes do, once."""
    return secret.get_secret_value().encode().ljust(_HMAC_BLOCK_BYTES, b"\0")


def _text(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""


def _refused(why: str) -> Unauthorized:
    return Unauthorized(f"the token in {USER_TOKEN_HEADER} {why}")
