"""Retry with backoff, for a provider that is unreachable, hangs up, is overloaded or out of order before it answers.

An answer that has begun is never retried: its words have been shown.
"""

import random
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp

from aiostream_server.backoff import doubled_s
from aiostream_server.errors import ModelFailed
from aiostream_server.models.error_kinds import LASTING

_PASSING: Final = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_UNSUPPORTED: Final = (HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request without an answer: an HTTP `status` with its `body`, or the connection's `error`.

    `failure` is the user's message; `wait_s` is the delay that the provider asks for. `was_pooled`: the connection had
    been used before.
    """

    failure: ModelFailed
    status: int = 0
    body: bytes = b""
    wait_s: float = 0.0
    error: aiohttp.ClientError | OSError | None = None
    was_pooled: bool = False

    @property
    def is_stale(self) -> bool:
        """Whether the provider had closed the connection while it was in the pool. A retry needs no delay, and says
        nothing about the provider: it does not count."""
        return self.was_pooled and self.error is not None and self.is_transient

    @property
    def is_transient(self) -> bool:
        """Whether a retry can help: not against a wrong name, a bad certificate, a timeout or an empty account."""
        if self.error is None:
            passing = self.status in _PASSING or (self.status >= 500 and self.status not in _UNSUPPORTED)
            return passing and not isinstance(self.failure, LASTING)
        if isinstance(self.error, TimeoutError | aiohttp.ClientSSLError | aiohttp.ClientConnectorDNSError):
            return False
        return isinstance(self.error, aiohttp.ServerDisconnectedError | OSError)


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
        least_s = refusal.wait_s
        if not least_s <= self.max_delay_s:  # false for NaN
            return None
        # Jitter: runs that were refused together do not retry together.
        longest_s = doubled_s(retries + 1, first_s=self.first_delay_s, longest_s=self.max_delay_s)
        spread_s = longest_s * random.uniform(0.5, 1)  # noqa: S311 - jitter, no secret
        return min(max(least_s, 0) + spread_s, self.max_delay_s)


DEFAULT_RETRY: Final = RetryPolicy()
