"""Retry with backoff: whether, and after how long, a failed request is repeated."""

import random
from typing import Final

from aiostream_server.backoff import doubled_s
from aiostream_server.client.errors import ClientError, ConnectionLost, NoServer, RequestRefused

_PASSING_STATUSES: Final = frozenset({408, 429, 502, 503, 504})
_MAX_BACKOFF_S: Final = 10.0
_MAX_RETRY_AFTER_S: Final = 60.0


class Backoff:
    """The attempts of one request: up to `max_reconnects` in a row, each after about twice the delay of the last."""

    def __init__(self, max_reconnects: int, backoff_s: float) -> None:
        self._max_reconnects: Final = max_reconnects
        self._backoff_s: Final = backoff_s
        self._failures = 0
        self._has_connected = False

    def succeeded(self) -> None:
        """The next failure counts as the first."""
        self._failures = 0
        self._has_connected = True

    def delay_s(self, error: ClientError) -> float | None:
        """Seconds before the next attempt, at least as many as the server asked for. None: give up."""
        is_passing = self.is_passing(error)
        self._has_connected = self._has_connected or isinstance(error, ConnectionLost)
        self._failures += 1
        asked_s = getattr(error, "retry_after_s", None) or 0.0
        if not is_passing or self._failures > self._max_reconnects or asked_s > _MAX_RETRY_AFTER_S:
            return None
        backoff_s = doubled_s(self._failures, first_s=self._backoff_s, longest_s=_MAX_BACKOFF_S)
        return max(asked_s, backoff_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter: clients return at various times

    def is_passing(self, error: ClientError) -> bool:
        """Whether another attempt may succeed. A server that never answered is not expected to begin now."""
        match error:
            case RequestRefused():
                return error.status in _PASSING_STATUSES and not error.is_final
            case NoServer():
                return self._has_connected
            case _:
                return isinstance(error, ConnectionLost)
