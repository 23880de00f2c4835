"""Retry with backoff, for a provider that is unreachable, hangs up, is overloaded or out of order before it answers.

An answer that has begun is never retried: its words have been shown.
"""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import aiohttp

from aiostream_server.errors import ModelFailed

_PASSING: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_LASTING: Final = (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)
_NO_MONEY: Final = b"insufficient_quota"  # OpenAI's 429 for an account without credit


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request without an answer: an HTTP `status` with its `body`, or the connection's `error`.

    `failure` is the user's message; `retry_after` and `retry_after_ms` are the raw headers.
    """

    failure: ModelFailed
    status: int = 0
    body: bytes = b""
    retry_after: str = ""
    retry_after_ms: str = ""
    error: aiohttp.ClientError | OSError | None = None

    @property
    def is_transient(self) -> bool:
        """Whether a retry can help: not against a wrong name, a bad certificate or a timeout."""
        if self.error is None:
            passing = self.status in _PASSING or (self.status >= 500 and self.status not in _LASTING)
            return passing and _NO_MONEY not in self.body
        if isinstance(self.error, TimeoutError | aiohttp.ClientSSLError | aiohttp.ClientConnectorDNSError):
            return False
        return isinstance(self.error, aiohttp.ServerDisconnectedError | OSError)

    @property
    def least_s(self) -> float:
        """The delay that the provider asks for; Azure and OpenAI also send milliseconds."""
        try:
            return float(self.retry_after_ms) / 1000
        except ValueError:
            return seconds_of(self.retry_after)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Up to `max_retries` with doubling delays; none if the provider asks for more than `max_delay_s`."""

    max_retries: int = 2
    first_delay_s: float = 0.5
    max_delay_s: float = 10.0

    def delay_s(self, refusal: Refusal, retries: int) -> float | None:
        """The delay before retry number `retries`, from 0; None if there is no retry."""
        if retries >= self.max_retries or not refusal.is_transient:
            return None
        least_s = refusal.least_s
        if not least_s <= self.max_delay_s:  # false for NaN
            return None
        # Jitter: runs that were refused together do not retry together.
        spread_s: float = self.first_delay_s * 2**retries * random.uniform(0.5, 1)  # noqa: S311
        return min(max(least_s, 0) + spread_s, self.max_delay_s)


DEFAULT_RETRY: Final = RetryPolicy()


def seconds_of(retry_after: str) -> float:
    """A `Retry-After` header in seconds, given as seconds or as a date (RFC 9110, section 10.2.3); 0 if invalid."""
    try:
        return float(retry_after)
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(retry_after)
        return (at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
