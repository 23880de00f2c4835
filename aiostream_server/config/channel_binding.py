"""SCRAM-SHA-256-PLUS, which binds PostgreSQL's login to the TLS connection: `channel_binding=require`.

asyncpg knows SCRAM without the binding only. So the TLS layer answers the server's question itself, and asyncpg sees a
login without a question. A server that cannot prove that it knows the password, or a third party between the two TLS
connections of which each end knows only its own, fails here.
https://www.rfc-editor.org/rfc/rfc5802, https://www.rfc-editor.org/rfc/rfc5929#section-4
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import ssl
import unicodedata
from typing import Any, ClassVar, Final

_MECHANISM: Final = b"SCRAM-SHA-256-PLUS"
_GS2_HEADER: Final = b"p=tls-server-end-point,,"
_ASK: Final = {"sasl": 10, "continue": 11, "final": 12}  # the codes of authentication messages
_SIGNATURE_HASHES: Final = {  # by the last bytes of the object identifier of a certificate's signature
    bytes.fromhex("2a864886f70d010104"): "sha256",  # MD5 and SHA-1 count as SHA-256
    bytes.fromhex("2a864886f70d010105"): "sha256",
    bytes.fromhex("2a864886f70d01010b"): "sha256",
    bytes.fromhex("2a864886f70d01010c"): "sha384",
    bytes.fromhex("2a864886f70d01010d"): "sha512",
    bytes.fromhex("2a8648ce3d0401"): "sha256",
    bytes.fromhex("2a8648ce3d040302"): "sha256",
    bytes.fromhex("2a8648ce3d040303"): "sha384",
    bytes.fromhex("2a8648ce3d040304"): "sha512",
}
_MOST_ITERATIONS: Final = 1_000_000  # of the key derivation, which runs in the event loop; servers ask for 4,096
_MOST_MESSAGE_BYTES: Final = 64 * 1024


class _BindingRefused(Exception):
    """The server cannot be logged in to with a bound channel; the message says why."""


def bind_channel(context: ssl.SSLContext, password: str | None) -> None:
    """Let connections of this context log in with a bound channel only. Raises `ValueError` without a password."""
    if not password:
        raise ValueError("channel_binding=require needs the password in the URL or in password_file")
    context.sslobject_class = type("BoundConnection", (_BoundConnection,), {"password": password})


class ScramPlus:
    """The client's side of one login. Its three messages, in this order: `first`, `proof`, `check`."""

    def __init__(self, password: str, certificate: bytes, nonce: str | None = None) -> None:
        self._password: Final = _prepared(password)
        self._binding: Final = base64.b64encode(_GS2_HEADER + hashed_certificate(certificate))
        self._bare: Final = f"n=,r={nonce or secrets.token_urlsafe(18)}".encode()
        self._server_signature = b""

    def first(self) -> bytes:
        return _GS2_HEADER + self._bare

    def proof(self, challenge: bytes) -> bytes:
        fields = _fields(challenge)
        nonce, salt, count = fields.get(b"r", b""), fields.get(b"s", b""), fields.get(b"i", b"")
        if not nonce.startswith(self._bare.partition(b"r=")[2]) or not count.isdigit():
            raise _BindingRefused("the server's answer to the login is not understood")
        if not 1 <= int(count) <= _MOST_ITERATIONS:
            raise _BindingRefused(
                f"the server asks for {int(count):,} rounds of hashing; at most {_MOST_ITERATIONS:,} are done"
            )
        salted = hashlib.pbkdf2_hmac("sha256", self._password, _decoded(salt), int(count))
        without_proof = b"c=" + self._binding + b",r=" + nonce
        signed = b",".join((self._bare, challenge, without_proof))
        client_key = _keyed(salted, b"Client Key")
        signature = _keyed(hashlib.sha256(client_key).digest(), signed)
        self._server_signature = _keyed(_keyed(salted, b"Server Key"), signed)
        proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
        return without_proof + b",p=" + base64.b64encode(proof)

    def check(self, outcome: bytes) -> None:
        """Raises `_BindingRefused` where the server does not know the password."""
        verifier = _decoded(_fields(outcome).get(b"v", b""))
        if not self._server_signature or not hmac.compare_digest(verifier, self._server_signature):
            raise _BindingRefused("the server did not prove that it knows the password")


class _BoundConnection(ssl.SSLObject):
    """Reads the server's messages up to the end of the login, and answers those about SCRAM itself."""

    password: ClassVar[str]
    _scram: ScramPlus | None = None
    _is_decided = False
    _unread = b""
    _ready = b""

    def read(self, size: int = 1024, buffer: Any = None) -> Any:  # as `ssl.SSLObject.read`: bytes, or a count
        while not self._ready:
            if self._is_decided:
                return super().read(size) if buffer is None else super().read(size, buffer)
            arrived = super().read(_MOST_MESSAGE_BYTES)
            if not arrived:
                self._is_decided = True
                continue
            self._unread += arrived
            self._answer()
        piece, self._ready = self._ready[:size], self._ready[size:]
        if buffer is None:
            return piece
        buffer[: len(piece)] = piece
        return len(piece)

    def _answer(self) -> None:
        """Take whole messages out of `_unread`: those of the login are answered, the others are for asyncpg."""
        while not self._is_decided and len(self._unread) >= 5:
            size = int.from_bytes(self._unread[1:5])
            if size > _MOST_MESSAGE_BYTES:
                self._refuse("the server's answer to the login is not understood")
                return
            if len(self._unread) < size + 1:
                return
            message, self._unread = self._unread[: size + 1], self._unread[size + 1 :]
            try:
                self._handle(message)
            except (_BindingRefused, ValueError) as exc:
                self._refuse(str(exc))
        if self._is_decided:
            self._ready, self._unread = self._ready + self._unread, b""

    def _handle(self, message: bytes) -> None:
        code, body = int.from_bytes(message[5:9]), message[9:]
        if message[:1] != b"R":  # an error
            self._ready += message
            self._is_decided = message[:1] == b"E"
        elif code == _ASK["sasl"] and _MECHANISM in body.split(b"\0"):
            certificate = self.getpeercert(binary_form=True)
            if certificate is None:
                raise _BindingRefused("the server showed no certificate")
            self._scram = ScramPlus(self.password, certificate)
            first = self._scram.first()
            self._send(_MECHANISM + b"\0" + len(first).to_bytes(4) + first)
        elif code == _ASK["continue"] and self._scram is not None:
            self._send(self._scram.proof(body))
        elif code == _ASK["final"] and self._scram is not None:
            self._scram.check(body)
            self._is_decided = True  # AuthenticationOk is next
        else:
            raise _BindingRefused("channel_binding=require: the server offers no login with a bound channel")

    def _send(self, body: bytes) -> None:
        self.write(b"p" + (len(body) + 4).to_bytes(4) + body)

    def _refuse(self, reason: str) -> None:
        """Tell asyncpg in the server's place: https://www.postgresql.org/docs/current/protocol-error-fields.html"""
        fields = b"SFATAL\0VFATAL\0C28000\0M" + reason.encode() + b"\0\0"
        self._ready += b"E" + (len(fields) + 4).to_bytes(4) + fields
        self._unread, self._is_decided = b"", True


def hashed_certificate(certificate: bytes) -> bytes:
    """The channel's identity: the certificate (DER), hashed with the hash of its own signature."""
    _, whole = _element(certificate)
    _, after_content = _skipped(whole)
    algorithm_tag, algorithm = _element(after_content)
    tag, identifier = _element(algorithm) if algorithm_tag == 0x30 else (0, b"")
    name = _SIGNATURE_HASHES.get(bytes(identifier)) if tag == 0x06 else None
    if name is None:
        raise _BindingRefused("the server's certificate is signed in a way for which no channel binding is defined")
    return hashlib.new(name, certificate).digest()


def _element(der: bytes) -> tuple[int, bytes]:
    """The tag and the content of the first element."""
    if len(der) < 2:
        raise _BindingRefused("the server's certificate is not understood")
    start, size = 2, der[1]
    if size & 0x80:
        start += size & 0x7F
        size = int.from_bytes(der[2:start])
    return der[0], der[start : start + size]


def _skipped(der: bytes) -> tuple[bytes, bytes]:
    """The first element's content, and what is behind it."""
    _, content = _element(der)
    head = 2 + (der[1] & 0x7F if der[1] & 0x80 else 0)
    return content, der[head + len(content) :]


def _prepared(password: str) -> bytes:
    """SASLprep: its normal form; a password with characters that it forbids is used as it is, as PostgreSQL does."""
    if password.isascii():
        return password.encode()
    text = "".join(" " if unicodedata.category(char) == "Zs" else char for char in password if char != "\u00ad")
    prepared = unicodedata.normalize("NFKC", text)
    is_allowed = all(unicodedata.category(char) not in ("Cc", "Cf", "Cn", "Co", "Cs") for char in prepared)
    return (prepared if is_allowed else password).encode()


def _fields(message: bytes) -> dict[bytes, bytes]:
    return {part[:1]: part[2:] for part in message.split(b",") if part[1:2] == b"="}


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise _BindingRefused("the server's answer to the login is not understood") from None


def _keyed(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")
