"""Messages between processes: one connection of each subscribes to all that it listens to.

A message may be lost while Redis is away or restarts: nothing depends on one alone. `on_reconnect` are called when
messages may have been lost.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeAlias

import structlog
from redis.exceptions import RedisError

from aiostream_server.log.redis.connection import RedisConnection, cancellable
from aiostream_server.log.redis.failures import is_lasting

_AGAIN_S: Final = 0.2
_IDLE_S: Final = 5.0
_ANSWER_S: Final = 2.0

_log = structlog.get_logger()

Listener: TypeAlias = Callable[[bytes], object]


class Channels:
    """Opened by `open_channels`."""

    def __init__(self, connection: RedisConnection) -> None:
        self.on_reconnect: Final[list[Callable[[], object]]] = []
        self._redis: Final = connection
        self._listeners: Final[dict[str, Listener]] = {}
        self._confirmed: Final[dict[str, asyncio.Event]] = {}
        self._connection: Any = None  # that of redis-py, while it is connected

    async def listen(self, channel: str, listener: Listener) -> None:
        """Call `listener` with each message. Returns when Redis has confirmed it; waits while Redis is away."""
        self._listeners[channel] = listener
        confirmed = self._confirmed[channel] = asyncio.Event()
        await self._send("SUBSCRIBE", channel)
        await confirmed.wait()

    async def leave(self, channel: str) -> None:
        self._listeners.pop(channel, None)
        self._confirmed.pop(channel, None)
        await self._send("UNSUBSCRIBE", channel)

    async def receive_for_ever(self) -> None:
        while True:
            try:
                await self._receive(self._redis.client.connection_pool.make_connection())
                continue
            except (RedisError, OSError) as exc:  # Redis is away: connect again in a moment
                if is_lasting(exc):
                    self._redis.lost(exc)
            except Exception:  # a bug, which must not end the receiving of all messages
                _log.exception("redis_channels_failed")
            await asyncio.sleep(_AGAIN_S)  # nothing tells when a server can be reached again

    async def _receive(self, connection: Any) -> None:  # redis-py exports no type of it
        address = self._redis.address
        try:
            await cancellable(connection.connect())
            self._connection = connection
            for channel in tuple(self._listeners):
                await self._send("SUBSCRIBE", channel)
            for tell in self.on_reconnect:
                tell()
            is_quiet = False
            while self._redis.address == address:  # else there was a failover
                message = await connection.read_response(timeout=_ANSWER_S if is_quiet else _IDLE_S, push_request=True)
                if message is not None:
                    is_quiet = False
                    self._take(*message)
                elif is_quiet:
                    raise TimeoutError("Redis does not answer a ping")
                else:
                    is_quiet = True
                    await cancellable(connection.send_command("PING"))
        finally:
            self._connection = None
            for confirmed in self._confirmed.values():
                confirmed.clear()
            await connection.disconnect(nowait=True)

    def _take(self, kind: bytes, name: bytes, *data: bytes) -> None:
        channel = name.decode().removeprefix(self._redis.base)
        if kind == b"subscribe" and channel in self._confirmed:
            self._confirmed[channel].set()
        elif kind == b"message" and (listener := self._listeners.get(channel)) is not None:
            listener(data[0])

    async def _send(self, command: str, channel: str) -> None:
        if (connection := self._connection) is not None:  # else `_receive` subscribes to all when it connects
            with suppress(RedisError, OSError, AttributeError):  # `_receive` notices it; the last: it is just closed
                await cancellable(connection.send_command(command, self._redis.base + channel))


@asynccontextmanager
async def open_channels(connection: RedisConnection) -> AsyncIterator[Channels]:
    channels = Channels(connection)
    receiving = asyncio.create_task(channels.receive_for_ever(), name="redis-channels")
    try:
        yield channels
    finally:
        receiving.cancel()
        await asyncio.wait({receiving})
