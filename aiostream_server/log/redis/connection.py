"""One process's connections to Redis: calls scripts, and knows whether Redis answers.

A call that fails raises `RunsUnavailable`, whatever the reason: no answer in time, a full memory, a replica that takes
no writes. From then on calls fail at once, until `lease` has renewed the lease again.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

import structlog
from redis import Redis as BlockingRedis
from redis.asyncio import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError, NoPermissionError, NoScriptError, RedisError
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import TimeoutError as TimedOut
from redis.retry import Retry

from aiostream_server.config.model import RunsConfig
from aiostream_server.errors import ConfigError, RunsUnavailable
from aiostream_server.log.redis.scripts import Script

_TIMEOUT_S: Final = 2.0
_CONNECTIONS: Final = 16
_QUIET_S: Final = 30.0  # Redis that comes and goes is logged once in so long

Reply: TypeAlias = Any
"""What a script returns: a number, bytes, None, or a list of these. The caller knows which."""

_log = structlog.get_logger()


class RedisConnection:
    """Opened by `open_redis`. For one event loop. `on_recovery` are called when Redis answers again."""

    def __init__(self, config: RunsConfig) -> None:
        url = config.resolved_url
        if url is None:
            raise ValueError("no URL is given")
        self.base: Final = f"{{{config.prefix}}}:"
        self.outages = 0
        self.on_recovery: Final[list[Callable[[], object]]] = []
        self._url: Final = url
        self._lost_at: float | None = None
        self._logged_at = -_QUIET_S
        self._is_logged = False
        pool = BlockingConnectionPool.from_url(
            url.get_secret_value(),
            max_connections=_CONNECTIONS,
            timeout=_TIMEOUT_S,
            socket_timeout=_TIMEOUT_S,
            socket_connect_timeout=_TIMEOUT_S,
            protocol=2,
            retry=Retry(NoBackoff(), 1),  # a connection that Redis has closed meanwhile
        )
        self.client: Final[Redis] = Redis(connection_pool=pool)

    @property
    def is_available(self) -> bool:
        return self._lost_at is None

    async def run(self, script: Script, *arguments: str | bytes | float) -> Reply:
        """Raises `RunsUnavailable`."""
        if self._lost_at is not None:
            raise _unavailable()
        try:
            return await self._run(script, arguments)
        except (RedisError, OSError) as exc:
            self.lost(exc)
            raise _unavailable() from exc

    async def _run(self, script: Script, arguments: tuple[str | bytes | float, ...]) -> Reply:
        try:
            return await self.client.execute_command("EVALSHA", script.sha, 1, self.base, *arguments)
        except NoScriptError:  # it was restarted, or another one has taken over
            return await self.client.execute_command("EVAL", script.text, 1, self.base, *arguments)

    def blocking_client(self, timeout_s: float) -> BlockingRedis:
        """A client for another thread."""
        return BlockingRedis.from_url(
            self._url.get_secret_value(),
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 1),
        )

    def lost(self, exc: Exception) -> None:
        """A call has failed. Logs the beginning of an outage, in one line."""
        if self._lost_at is not None:
            return
        self._lost_at = time.monotonic()
        self.outages += 1
        if self._lost_at - self._logged_at >= _QUIET_S:
            self._logged_at, self._is_logged = self._lost_at, True
            _log.warning("redis_unavailable", reason=reason_of(exc))

    def recovered(self) -> None:
        """A call has succeeded."""
        if self._lost_at is None:
            return
        outage_s, self._lost_at = round(time.monotonic() - self._lost_at, 3), None
        if self._is_logged:
            self._is_logged = False
            _log.info("redis_available", outage_s=outage_s)
        for tell in self.on_recovery:
            tell()


@asynccontextmanager
async def open_redis(config: RunsConfig) -> AsyncIterator[RedisConnection]:
    """Raises `ConfigError` where Redis does not answer, or refuses what the server needs."""
    try:
        connection = RedisConnection(config)
    except ValueError as exc:  # redis-py checks the options in the URL
        raise ConfigError([f"[runs] redis_url: {exc}"]) from None
    try:
        await _check(connection)
        yield connection
    finally:
        await connection.client.aclose()
        await connection.client.connection_pool.disconnect()


async def _check(connection: RedisConnection) -> None:
    probe = Script.of("return redis.call('SET', base .. 'probe', now, 'PX', 1000)")
    try:
        async with asyncio.timeout(2 * _TIMEOUT_S):
            await connection._run(probe, ())  # noqa: SLF001 - without its bookkeeping of outages
    except (RedisError, OSError, TimeoutError) as exc:
        raise ConfigError([f'[runs] store = "redis": {reason_of(exc)}']) from exc


def reason_of(exc: Exception) -> str:
    """In words for an operator, without an address or a password."""
    if isinstance(exc, AuthenticationError):
        return "Redis refuses the user or the password"
    if isinstance(exc, NoPermissionError):
        return "the user of Redis may not do what the server needs; docs/cluster.md lists it"
    if isinstance(exc, TimedOut | TimeoutError):
        return "Redis does not answer in time"
    if isinstance(exc, ConnectionFailed | OSError):
        return "Redis cannot be reached"
    text = str(exc)
    if text.startswith(("OOM", "command not allowed when used memory")) or "OOM command" in text:
        return "the memory of Redis is full (maxmemory)"
    if "READONLY" in text or "read only replica" in text:
        return "this Redis is a replica and takes no writes"
    return f"Redis says: {text[:200]}"


def _unavailable() -> RunsUnavailable:
    return RunsUnavailable("the server cannot reach the store that it shares with the others; ask again in a moment")
