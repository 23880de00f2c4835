"""Words a provider's failure as one readable line, without traceback, header, key or HTML."""

import os
from http import HTTPStatus
from typing import Any, Final

import aiohttp
import msgspec
from pydantic import SecretStr

from aiostream_server.errors import ModelFailed, ModelTimeout
from aiostream_server.text import one_line

_MAX_MESSAGE: Final = 300


class Failures:
    """The failures of one provider. `origin` is its address without path and credentials."""

    def __init__(self, origin: str, api_key: SecretStr | None) -> None:
        self._provider = f"the model provider at {origin}"
        self._secret = api_key.get_secret_value() if api_key is not None else ""

    def said(self, what: str) -> ModelFailed:
        """A failure worded as the provider's name and `what`."""
        return ModelFailed(f"{self._provider} {what}")

    def broke_off(self) -> ModelFailed:
        return self.said("broke off in the middle of its answer")

    def ended_with(self, reason: str) -> ModelFailed:
        """A reason for the end of the answer that says that the answer is broken."""
        return self.said("reported an error" if reason.lower() == "error" else f"ended its answer with {reason}")

    def refused(self, status: int, body: bytes) -> ModelFailed:
        """An HTTP status other than 200."""
        phrase = HTTPStatus(status).phrase if status in HTTPStatus._value2member_map_ else ""
        message = self._line(_message_in_body(body))
        return self.said(f"answered {f'{status} {phrase}'.strip()}" + (f": {message}" if message else ""))

    def reported(self, error: Any) -> ModelFailed:
        """An error object inside an answer with status 200."""
        message = self._line(_message(error))
        return self.said("reported an error" + (f": {message}" if message else ""))

    def lost(self, error: aiohttp.ClientError | OSError, *, answering: bool) -> ModelFailed:
        """A connection that failed before the answer, or during it (`answering`)."""
        match error:
            case aiohttp.ConnectionTimeoutError():
                return ModelTimeout(f"{self._provider} cannot be reached: it did not accept a connection in time")
            case aiohttp.ServerTimeoutError():
                return ModelTimeout(f"{self._provider} has been silent for too long")
            case TimeoutError():
                return ModelTimeout(f"{self._provider} did not end its answer within total_timeout_s")
            case aiohttp.ClientConnectorError():
                return self.said(f"cannot be reached: {_reason(error)}")
            case aiohttp.ClientResponseError():
                return self.said("sent something that is not HTTP")
        if answering:
            return self.broke_off()
        return self.said("closed the connection without an answer")

    def _line(self, text: str) -> str:
        """One line of limited length; a key that the provider repeats is masked."""
        if self._secret:
            text = text.replace(self._secret, "***")
        return one_line(text, _MAX_MESSAGE)


def _reason(error: aiohttp.ClientConnectorError) -> str:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "its certificate is not valid"
        case aiohttp.ClientSSLError():
            return "no TLS connection can be made"
        case aiohttp.ClientConnectorDNSError():
            return "its name cannot be resolved"
    return os.strerror(error.errno).lower() if error.errno else "no connection"


def _message_in_body(body: bytes) -> str:
    try:
        return _message(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace").strip()
        return "" if text.startswith("<") else text  # a proxy's HTML page adds nothing to the status


def _message(error: Any) -> str:
    """The provider's message, from any of the usual places."""
    match error:
        case str():
            return error
        case {"error": str() | dict() as inner}:
            return _message(inner)
        case {
            "message": str() as text,
            "metadata": {"raw": str() as raw},
        }:  # OpenRouter: its own and the upstream's message
            return f"{text}: {raw}"
        case {"message": str() as text} | {"detail": str() as text}:
            return text
        case {"detail": [{"msg": str() as text}, *_]}:
            return text
        case [dict() as first, *_]:  # Gemini
            return _message(first)
    return ""
