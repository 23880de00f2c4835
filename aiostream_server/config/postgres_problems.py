"""Why a PostgreSQL cannot be reached, in a sentence that says what to do, without its host, a password or a path.

asyncpg and Python's `ssl` name the host in most of their messages.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Final

_UNKNOWN_AUTHORITY: Final = "its certificate was not issued by an authority that sslrootcert in the URL names"
_CERTIFICATE: Final = {  # https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
    9: "its certificate is not valid yet",
    10: "its certificate has expired",
    23: "its certificate was revoked",
    62: "its certificate is for another host than the one in the URL, which sslmode=verify-full compares",
    64: "its certificate is for another address than the one in the URL, which sslmode=verify-full compares",
}
_NOT_ADMITTED: Final = "it does not admit this user from this address to this database (pg_hba.conf)"
_BY_TEXT: Final = {  # parts of messages, and what they mean; the first that is found counts
    "no encryption": "it asks for TLS: write sslmode=require in the URL",
    "SSL required": "it asks for TLS: write sslmode=require in the URL",
    "rejected SSL upgrade": "it offers no TLS, which sslmode in the URL asks for",
    "no pg_hba.conf entry": _NOT_ADMITTED,
    "pg_hba.conf rejects": _NOT_ADMITTED,
    "not allowed in statement pooling": (
        "its pooler ends every transaction after one statement: set pool_mode = transaction or session there"
    ),
    "unexpected connection_lost": "it closed the connection",
    "cannot switch to state": "it closed the connection",  # its last words stand between two answers
    "target attribute requirement": "none of its hosts is of the kind that target_session_attrs asks for",
}


def known_problem(error: BaseException) -> str | None:
    """The sentence for an error while connecting, or for what caused it; None for an error that is not known."""
    return next((known for cause in causes(error) if (known := _known(cause))), None)


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from: SQLAlchemy wraps asyncpg's errors twice."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _known(error: BaseException) -> str | None:
    match error:
        case ssl.SSLCertVerificationError():
            return _CERTIFICATE.get(error.verify_code, _UNKNOWN_AUTHORITY)
        case ssl.SSLError():
            return f"TLS failed ({error.reason or 'no reason is given'})"
        case socket.gaierror():
            return "its host name is not known"
        case ConnectionRefusedError():
            return "nothing answers at its address (connection refused)"
        case FileNotFoundError():
            return "there is no socket in the folder that the URL names"
        case TimeoutError():
            return "it did not answer in time"
    text = str(error)
    return next((meaning for part, meaning in _BY_TEXT.items() if part in text), None)
