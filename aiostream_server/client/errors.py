"""What can go wrong between this client and a server. Each message is one line for a person to read.

* ClientError
  - NoServer          no server answers at the URL
  - BadAnswer         the server at the URL is of another kind
  - RequestRefused    the server answered with an error: `status`, `code`, and its message
    - UnknownRun      404: no such run; it may belong to another user, or to the server before its restart
    - RunExpired      410: the run has ended, and the server has dropped its events
  - ConnectionLost    a run's stream broke off and could not be resumed: `run_id`, `last_seq`

A failed run is not among these: its events `Error` and `RunFinished` tell of it.
"""

import email.utils
import json
import time
from collections.abc import Mapping
from typing import Final

import aiohttp

_MAX_MESSAGE_CHARS: Final = 1_000
_NO_SUCH_PATH: Final = frozenset({404, 405})


class ClientError(Exception):
    """Base class of the errors of this client."""


class NoServer(ClientError):
    pass


class BadAnswer(ClientError):
    pass


class RequestRefused(ClientError):
    """`code` is OpenAI's, such as `model_not_found`; `retry_after_s` is how long the server asks to wait.

    `is_final`: the server asks not to send the request again (`x-should-retry: false`).
    """

    def __init__(
        self, status: int, code: str, message: str, *, retry_after_s: float | None = None, is_final: bool = False
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.retry_after_s = retry_after_s
        self.is_final = is_final


class UnknownRun(RequestRefused):
    pass


class RunExpired(RequestRefused):
    pass


class ConnectionLost(ClientError):
    """The run may continue: `attach(run_id, after=last_seq)`. `run_id` is None if the server never told it."""

    def __init__(self, message: str, *, run_id: str | None = None, last_seq: int = 0) -> None:
        super().__init__(message)
        self.run_id = run_id
        self.last_seq = last_seq


_LEAVES: Final[Mapping[str, type[RequestRefused]]] = {"run_expired": RunExpired, "not_found": UnknownRun}


async def refusal_of(response: aiohttp.ClientResponse) -> RequestRefused:
    """The error in a response: https://platform.openai.com/docs/guides/error-codes

    A proxy may have refused the request, so the body may be anything.
    """
    try:
        error = json.loads(await response.read())["error"]
        code, message = str(error.get("code") or ""), " ".join(str(error["message"]).split())
    except (ValueError, KeyError, TypeError, AttributeError):
        code, message = "", f"HTTP {response.status} {response.reason}".strip()
        if response.status in _NO_SUCH_PATH:  # this server names the path that it does not know
            base = str(response.request_info.url).partition("/v1/")[0]
            message = f"{message}: is {base} the URL of an aiostream-server?"
    leaf = _LEAVES.get(code, RequestRefused)
    wait_s = _retry_after_s(response.headers.get("Retry-After"))
    is_final = response.headers.get("x-should-retry", "").strip().lower() == "false"
    return leaf(response.status, code, message[:_MAX_MESSAGE_CHARS], retry_after_s=wait_s, is_final=is_final)


def _retry_after_s(header: str | None) -> float | None:
    """Seconds, or a date: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after"""
    if header is None:
        return None
    if header.strip().isdecimal():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
