"""The certificate and its key. Wrong ones are refused in one line, before a client connects.

TLS 1.2 and 1.3, forward secrecy and authenticated encryption only, as Mozilla's "intermediate" has it
(https://wiki.mozilla.org/Security/Server_Side_TLS), and HTTP/1.1.
"""

import ssl
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Self

from aiostream_server.config.model import ServerConfig
from aiostream_server.errors import ConfigError
from aiostream_server.unreadable import why_unreadable

SOON_DAYS: Final = 14
_CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"  # of TLS 1.2; those of 1.3 are all good
_EXPIRED: Final = 10  # X509_V_ERR_CERT_HAS_EXPIRED
_NOT_YET_VALID: Final = 9  # X509_V_ERR_CERT_NOT_YET_VALID
_IN_USE: Final = "; the former certificate stays in use"


class Certificate:
    """`context` is for new connections; existing ones keep theirs."""

    def __init__(self, certificate: Path, key: Path) -> None:
        """Raises `ConfigError`."""
        self._certificate: Final = certificate
        self._key: Final = key
        self.context, self.expires_at = _load(certificate, key)

    @classmethod
    def of(cls, server: ServerConfig) -> Self | None:
        """None if the server speaks plain HTTP. Raises `ConfigError`."""
        if server.tls_certificate is None or server.tls_key is None:
            return None
        return cls(server.tls_certificate, server.tls_key)

    def reload(self) -> None:
        """Read both files again. Raises `ConfigError`, and then keeps the former certificate."""
        try:
            self.context, self.expires_at = _load(self._certificate, self._key)
        except ConfigError as exc:
            raise ConfigError([problem + _IN_USE for problem in exc.problems]) from exc

    def expiry_note(self, now: datetime) -> str | None:
        """A line about a certificate that expires soon, or None."""
        left = self.expires_at - now
        if left.days >= SOON_DAYS:
            return None
        return f"[server] tls_certificate expires on {self.expires_at:%Y-%m-%d %H:%M} UTC, in {max(left.days, 0)} days"


def _load(certificate: Path, key: Path) -> tuple[ssl.SSLContext, datetime]:
    """The context, and when the certificate expires."""
    chain = _read("tls_certificate", certificate, "CERTIFICATE-----", "certificate")
    _read("tls_key", key, "PRIVATE KEY-----", "private key")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except _EncryptedKeyError as exc:
        raise ConfigError([f"[server] tls_key: {key} is encrypted, and the server asks for no passphrase"]) from exc
    except (ssl.SSLError, OSError) as exc:
        raise ConfigError([f"[server] tls_certificate: {_why(exc, certificate, key)}"]) from exc
    return context, _try(context, chain, certificate)


class _EncryptedKeyError(Exception):
    """OpenSSL asked for a passphrase."""


def _no_passphrase() -> str:
    raise _EncryptedKeyError


def _read(name: str, path: Path, mark: str, what: str) -> str:
    try:
        text = path.read_text("ascii", errors="replace")
    except OSError as exc:
        raise ConfigError([f"[server] {name}: {path} cannot be read: {why_unreadable(exc)}"]) from exc
    if mark not in text:
        raise ConfigError([f"[server] {name}: {path} holds no {what} in PEM"])
    return text


def _why(exc: OSError, certificate: Path, key: Path) -> str:
    if isinstance(exc, ssl.SSLError) and exc.reason == "KEY_VALUES_MISMATCH":
        return f"{key} is not the key of {certificate}, whose first certificate must be the server's own"
    return f"{certificate} and {key} cannot be used: {getattr(exc, 'reason', None) or exc.strerror or 'broken PEM'}"


def _try(context: ssl.SSLContext, chain: str, path: Path) -> datetime:
    """When it expires. Does a handshake in memory with a client that trusts exactly this file."""
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname = False
    trusting.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        trusting.load_verify_locations(cadata=chain)
        client = _shake_hands(context, trusting)
    except ssl.SSLCertVerificationError as exc:
        words = {_EXPIRED: "has expired", _NOT_YET_VALID: "is not valid yet"}
        why = words.get(exc.verify_code, f"is not accepted: {exc.verify_message}")
        raise ConfigError([f"[server] tls_certificate: {path} {why}"]) from exc
    except ssl.SSLError as exc:
        raise ConfigError([f"[server] tls_certificate: {path} cannot be used: {exc.reason}"]) from exc
    peer = client.getpeercert() or {}
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(str(peer["notAfter"])), UTC)


def _shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> ssl.SSLObject:
    """The client's side, after it has verified the server's certificate."""
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking, answering = client.wrap_bio(back, there), server.wrap_bio(there, back, server_side=True)
    while True:
        try:
            asking.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            return asking
        with suppress(ssl.SSLWantReadError):
            answering.do_handshake()
