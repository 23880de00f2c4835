"""Words a provider's failure as one readable line: no traceback, header, key, HTML or address.

The line names the configured model. The address is for the log of the operator.
"""

import os
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
import structlog
from pydantic import SecretStr
from yarl import URL

from aiostream_server.errors import ModelFailed, ModelTimeout, ProviderRefused
from aiostream_server.models.error_kinds import LASTING, error_kind
from aiostream_server.models.openai.waits import asked_wait_s
from aiostream_server.text import one_line

_MAX_MESSAGE: Final = 300
_NO_SUCH_ROUTE: Final = frozenset({301, 302, 303, 307, 308, 404, 405})
_NO_HEADERS: Final[Mapping[str, str]] = {}

_log = structlog.get_logger()


class Failures:
    """The failures of one provider. `origin` is its address without path and credentials.

    `subject` begins each line: `the model provider of [models.default]`. Without it the provider is named by its
    address: no configuration has a name for it.
    """

    def __init__(self, origin: str, api_key: SecretStr | None, subject: str = "") -> None:
        self.origin: Final = origin
        self._subject = subject or f"the model provider at {origin}"
        self._secret = api_key.get_secret_value() if api_key is not None else ""
        self._places = _places(origin)

    def said(self, what: str, *, is_lasting: bool = False) -> ModelFailed:
        """A failure worded as the provider's name and `what`."""
        return ModelFailed(f"{self._subject} {what}", is_lasting=is_lasting)

    def broke_off(self) -> ModelFailed:
        return self.said("broke off in the middle of its answer")

    def ended_with(self, reason: str) -> ModelFailed:
        """A reason for the end of the answer that says that the answer is broken."""
        return self.said("reported an error" if reason.lower() == "error" else f"ended its answer with {reason}")

    def refused(self, status: int, body: bytes, headers: Mapping[str, str] = _NO_HEADERS) -> ModelFailed:
        """An HTTP status other than 200. `headers` must find their names in any case."""
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        error = decoded(body)
        message = self._line(_message(error))
        if status in _NO_SUCH_ROUTE and not _is_providers(error):
            message = "is its base_url right?"
        what = f"answered {f'{status} {phrase}'.strip()}" + (f": {message}" if message else "")
        wait_s = asked_wait_s(headers, body.decode("utf-8", "replace")) if status in (429, 503, 529) else None
        kind = error_kind(status, error)
        if kind is ProviderRefused and message:  # for the operator: it may name accounts and parts of keys
            _log.warning("model_provider_refused", provider=self._subject, status=status, reason=message)
            what = what.removesuffix(f": {message}")
        if status == HTTPStatus.UNAUTHORIZED and not self._secret:
            what += ": it asks for an API key, and the server has none for it"
        return kind(f"{self._subject} {what}", is_lasting=True, retry_after_s=wait_s)

    def reported(self, error: Any) -> ModelFailed:
        """An error object inside an answer with status 200."""
        message, kind = self._line(_message(error)), error_kind(200, error)
        if kind is ProviderRefused and message:
            _log.warning("model_provider_refused", provider=self._subject, status=200, reason=message)
            message = "it does not accept the server's key"
        what = "reported an error" + (f": {message}" if message else "")
        return kind(f"{self._subject} {what}", is_lasting=kind in LASTING)

    def lost(self, error: aiohttp.ClientError | OSError, *, answering: bool) -> ModelFailed:
        """A connection that failed before the answer, or during it (`answering`)."""
        match error:
            case aiohttp.ConnectionTimeoutError():
                return ModelTimeout(f"{self._subject} cannot be reached: it did not accept a connection in time")
            case aiohttp.ServerTimeoutError():
                return ModelTimeout(f"{self._subject} has been silent for too long")
            case TimeoutError():
                return ModelTimeout(f"{self._subject} did not end its answer within total_timeout_s")
            case aiohttp.ClientConnectorError():
                return self.said(f"cannot be reached: {_reason(error)}", is_lasting=True)
            case aiohttp.ClientResponseError():
                return self.said("sent something that is not HTTP", is_lasting=True)
        if answering:
            return self.broke_off()
        return self.said("closed the connection without an answer", is_lasting=True)

    def _line(self, text: str) -> str:
        """One line of limited length; a key or an address that the provider repeats is masked."""
        if self._secret:
            text = text.replace(self._secret, "***")
        for place in self._places:
            text = text.replace(place, "…")
        return one_line(text, _MAX_MESSAGE)


def _places(origin: str) -> tuple[str, ...]:
    """The address in each form in which the provider may repeat it, the longest first."""
    url = URL(origin)
    return tuple(filter(None, (origin, f"{url.host}:{url.port}" if url.host else "", url.host or "")))


def _reason(error: aiohttp.ClientConnectorError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid"
        case aiohttp.ClientSSLError():
            return "no TLS connection can be made"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
    return os.strerror(error.errno).lower() if error.errno else "no connection"


def decoded(body: bytes) -> Any:
    """The error's JSON, else its text. A proxy's HTML page adds nothing to the status."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text


def _is_providers(error: object) -> bool:
    """Whether an error is one of a model provider, and not what a web server says of a path that it does not know."""
    first = error[0] if isinstance(error, list) and error else error
    return isinstance(first, dict) and ("error" in first or "message" in first)


def _message(error: Any) -> str:
    """The provider's message, from any of the usual places."""
    match error:
        case str():
            return error
        case {"error": str() | dict() as inner} | {"message": dict() as inner}:  # the latter is Mistral's
            return _message(inner)
        case {
            "message": str() as text,
            "metadata": {"raw": str() as raw},
        }:  # OpenRouter: its own and the upstream's message
            return f"{text}: {raw}"
        case {"message": str() as text} | {"detail": str() as text}:
            return text
        case {"detail": [{"msg": str() as text, "loc": [*where]}, *_]}:  # FastAPI's
            return f"{text}: {'.'.join(map(str, where))}"
        case {"detail": [{"msg": str() as text}, *_]}:
            return text
        case {"message": dict() as inner}:  # Mistral
            return _message(inner)
        case [dict() as first, *_]:  # Gemini
            return _message(first)
    return ""
