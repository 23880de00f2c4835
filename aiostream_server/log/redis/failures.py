"""What a failed call to Redis means, for the operator and for the start of the server."""

import ssl
from collections.abc import Iterator
from typing import Final

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
)
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import TimeoutError as TimedOut

_RIGHTS: Final = "the user of Redis may not do what the server needs; docs/cluster.md has the ACL rule"
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (AuthenticationError, "Redis refuses the user or the password"),
    (NoPermissionError, _RIGHTS),
    (BusyLoadingError, "Redis is loading its data"),
    (ReadOnlyError, "this Redis is a replica and takes no writes"),
    (OutOfMemoryError, "the memory of Redis is full (maxmemory)"),
    (ClusterDownError, "the Redis cluster is down"),
    (MovedError, "another node of the Redis cluster has the keys now"),
    (TimedOut, "Redis does not answer in time"),
    (TimeoutError, "Redis does not answer in time"),
    (ConnectionFailed, "Redis cannot be reached"),
    (OSError, "Redis cannot be reached"),
)
_IN_SCRIPTS: Final = (
    (("OOM", "command not allowed when used memory"), "the memory of Redis is full (maxmemory)"),
    (("READONLY", "read only replica"), "this Redis is a replica and takes no writes"),
    (("user executing the script", "ACL failure in script"), _RIGHTS),
    (("max number of clients",), "Redis takes no more connections (maxclients)"),
)
"""What Redis says of a connection, or of a command in a script: before 7 without the word that begins an error."""


class UnusableRedis(RedisError):  # type: ignore[misc] # mypy does not read redis-py: its classes are `Any`
    """This server, or its user, is not one that the server can work with. The text is for the operator."""


def reason_of(exc: Exception) -> str:
    """The reason in words for an operator, without an address or a password."""
    if isinstance(exc, UnusableRedis):
        return str(exc)
    if (failure := _tls_failure(exc)) is not None:
        return f"TLS with Redis fails: {getattr(failure, 'verify_message', '') or failure.reason or failure}"
    for words, reason in _IN_SCRIPTS:
        if isinstance(exc, RedisError) and any(word in str(exc) for word in words):
            return reason
    for kind, reason in _REASONS:
        if isinstance(exc, kind):
            return reason
    return f"Redis says: {str(exc)[:200]}"


def is_lasting(exc: Exception) -> bool:
    """Whether waiting does not help: the configuration of the server, or of Redis, has to change."""
    return isinstance(exc, AuthenticationError | NoPermissionError | UnusableRedis) or _tls_failure(exc) is not None


def _tls_failure(exc: BaseException) -> ssl.SSLError | None:
    for each in _causes(exc):
        if isinstance(each, ssl.SSLError) and not isinstance(each, ssl.SSLEOFError | ssl.SSLZeroReturnError):
            return each
    return None


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
