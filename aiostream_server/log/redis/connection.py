"""One process's connections to Redis: calls scripts, and knows whether Redis answers.

A call that fails raises `RunsUnavailable`, whatever the reason: no answer in time, a full memory, a replica that takes
no writes. From then on calls fail at once, until `lease` has renewed the lease again, at the server that is the primary
now. A process that was stopped (SIGSTOP) finds its calls late, too: these are repeated.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias, TypeVar

import structlog
from redis.asyncio import BlockingConnectionPool, Redis
from redis.exceptions import ConnectionError as ConnectionFailed
from redis.exceptions import NoScriptError, RedisError

from aiostream_server.config.model import RunsConfig
from aiostream_server.errors import ConfigError, RunsUnavailable
from aiostream_server.log.redis.failures import is_lasting, reason_of
from aiostream_server.log.redis.primary import Address, Primary
from aiostream_server.log.redis.scripts import Script

_TIMEOUT_S: Final = 2.0
_RENEWED_S: Final = 2.0  # in which a process that was stopped renews its lease
_CONNECTIONS: Final = 16
_CLOSED: Final = (AttributeError, RuntimeError)
"""Of a connection that `_open` closes while a call writes to it. redis-py: "'NoneType' object has no attribute
'writelines'"; uvloop: "unable to perform operation on <TCPTransport closed=True …>"."""
_QUIET_S: Final = 30.0  # Redis that comes and goes is logged once in so long

Reply: TypeAlias = Any
"""What a script returns: a number, bytes, None, or a list of these. The caller knows which."""

_T = TypeVar("_T")

_log = structlog.get_logger()


async def cancellable(call: Awaitable[_T]) -> _T:
    """Await a call of redis-py. It writes with `asyncio.wait_for`, which in Python 3.11 loses a cancellation that comes
    in the moment in which the write ends: the task would go on."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await call
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


class RedisConnection:
    """Opened by `open_redis`. For one event loop. `on_recovery` are called when Redis answers again."""

    def __init__(self, config: RunsConfig) -> None:
        url = config.resolved_url
        if url is None:
            raise ValueError("no URL is given")
        self.base: Final = f"{{{config.prefix}}}:"
        self.primary: Final = Primary(url, self.base)
        self.address: Address | None = None
        """None until Redis has answered for the first time."""
        self.outages = 0
        self.on_recovery: Final[list[Callable[[], object]]] = []
        self._client: Redis | None = None
        self._lost_at: float | None = time.monotonic()
        self._logged_at = -_QUIET_S
        self._told: Final[set[str]] = set()
        self._is_logged = False
        self.lease_until = math.inf
        """By `time.monotonic()`: before, no other process takes over the runs of this one."""
        self._recovered: Final = asyncio.Event()
        self._epoch = 0
        """Another one after each outage, and each time that the lease was over: earlier calls say nothing of now."""
        self._calls: Final = asyncio.Semaphore(_CONNECTIONS)
        self._is_closed = False
        self._draining: Final[set[asyncio.Task[None]]] = set()

    @property
    def is_available(self) -> bool:
        return self._lost_at is None

    @property
    def was_stopped(self) -> bool:
        """Whether the lease was over before Redis seemed to be away. Its calls are late where this process was stopped;
        where Redis is away, one fails before the end of the lease."""
        return (time.monotonic() if self._lost_at is None else self._lost_at) > self.lease_until

    @property
    def client(self) -> Redis:
        """That of the server which was the primary when Redis answered last. Raises redis-py's `ConnectionError`
        before it has answered for the first time."""
        if self._client is None:
            raise ConnectionFailed("it has not answered yet")
        return self._client

    async def run(self, script: Script, *arguments: str | bytes | float) -> Reply:
        """Raises `RunsUnavailable`. All scripts may be called twice: their answer may be lost."""
        is_repeated = False
        while not self._is_closed and await self._answers():
            epoch = self._epoch
            try:
                async with self._calls:
                    if self._lost_at is not None or self._is_closed:
                        continue
                    epoch = self._epoch
                    return await self._run(script, arguments)
            except (RedisError, OSError, *_CLOSED) as exc:
                is_of_now = epoch == self._epoch and not isinstance(exc, _CLOSED)
                if is_of_now:  # else it was sent before an outage
                    self.lost(exc)
                if is_repeated or not await self._answers():
                    raise _unavailable() from exc
            is_repeated = True
        raise _unavailable()

    async def _answers(self) -> bool:
        """Whether Redis answers. A process that was stopped waits a moment until the thread of its lease finds out."""
        if self._lost_at is not None and self.was_stopped:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._lost_at + _RENEWED_S - time.monotonic()):
                    await self._recovered.wait()
        return self._lost_at is None

    def renewed(self, until: float, *, was_known: bool) -> None:
        """The lease was renewed. `was_known`: it was not over before."""
        self.lease_until = until
        if not was_known:
            self._epoch += 1

    async def _run(self, script: Script, arguments: tuple[str | bytes | float, ...]) -> Reply:
        client = self.client
        try:
            return await cancellable(client.execute_command("EVALSHA", script.sha, 1, self.base, *arguments))
        except NoScriptError:  # it was restarted, or another one has taken over
            return await cancellable(client.execute_command("EVAL", script.text, 1, self.base, *arguments))

    def lost(self, exc: Exception) -> None:
        """A call has failed. Logs the beginning of an outage in one line, and another one where it turns out that
        an operator has to mend it."""
        now = time.monotonic()
        if self._lost_at is None or not self.outages:  # the server may start in an outage
            self._lost_at = now
            self._recovered.clear()
            self.outages += 1
            if now - self._logged_at >= _QUIET_S:
                self._told.clear()
        reason = reason_of(exc)
        if not self._told or (is_lasting(exc) and reason not in self._told):
            self._told.add(reason)
            self._logged_at, self._is_logged = now, True
            _log.warning("redis_unavailable", reason=reason)

    def recovered(self, address: Address) -> None:
        """A call has succeeded, at this server."""
        if self._lost_at is None and address == self.address:
            return
        self._epoch += 1
        self._open(address)
        outage_s, self._lost_at = round(time.monotonic() - (self._lost_at or time.monotonic()), 3), None
        if self._is_logged:
            self._is_logged = False
            _log.info("redis_available", outage_s=outage_s)
        self._recovered.set()
        for tell in self.on_recovery:
            tell()

    def _open(self, address: Address) -> None:
        """Connect anew: connections may lead to a server that is the primary no longer."""
        if self._client is not None:
            left_s = 0.0 if address != self.address else 2 * _TIMEOUT_S
            draining = asyncio.create_task(_drain(self._client.connection_pool, left_s))
            self._draining.add(draining)
            draining.add_done_callback(self._draining.discard)
        self.address = address
        self._client = Redis(connection_pool=self.primary.pool(address, _TIMEOUT_S, _CONNECTIONS))

    async def close(self) -> None:
        """Calls that were begun are waited for: one that is about to connect would leave its connection behind."""
        self._is_closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(_TIMEOUT_S):
                for _ in range(_CONNECTIONS):
                    await self._calls.acquire()
        for draining in self._draining:
            draining.cancel()
        await asyncio.gather(*self._draining, return_exceptions=True)
        if self._client is not None:
            await self._client.connection_pool.disconnect()


async def _drain(pool: BlockingConnectionPool, left_s: float) -> None:
    """Close a pool that no call takes connections from any more; those that are in use after this time."""
    try:
        await pool.disconnect(inuse_connections=False)
        await asyncio.sleep(left_s)  # a call ends by its time limit before
    finally:
        await pool.disconnect()


@asynccontextmanager
async def open_redis(config: RunsConfig, *, must_answer: bool = False) -> AsyncIterator[RedisConnection]:
    """Raises `ConfigError` where Redis refuses what the server needs, and if it `must_answer` where it does not."""
    try:
        connection = RedisConnection(config)
    except ValueError as exc:
        raise ConfigError([f"[runs] redis_url: {exc}"]) from None
    try:
        address = await asyncio.to_thread(connection.primary.check_once, _TIMEOUT_S)
    except (RedisError, OSError) as exc:
        if must_answer or is_lasting(exc):
            raise ConfigError([f'[runs] store = "redis": {reason_of(exc)}']) from exc
        connection.lost(exc)
    else:
        connection.recovered(address)
        with suppress(RedisError, OSError):  # the first question need not wait for a connection
            await cancellable(connection.client.ping())
    try:
        yield connection
    finally:
        await connection.close()


def _unavailable() -> RunsUnavailable:
    return RunsUnavailable("the server cannot reach the store that it shares with the others; ask again in a moment")
