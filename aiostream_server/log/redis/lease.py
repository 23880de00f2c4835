"""Tells Redis that this process lives, and learns what it has to know: which others have failed, and which runs to end.

A thread renews the lease, so that a busy event loop does not look like a failed process; a process that is stopped
(SIGSTOP) does. Its calls also find out when Redis answers again.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.exceptions import NoScriptError, RedisError

from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import RENEW, RETIRE, Script

_RENEWALS: Final = 8  # in the time of one lease


@dataclass(frozen=True, slots=True)
class Renewal:
    """`was_known` is false for a process whose lease was over, or whose Redis has lost its data. `stops` are reasons
    by run."""

    was_known: bool
    failed: Sequence[str]
    stops: Mapping[str, str]


class Lease:
    """That of one process. `on_renewal` is called in the event loop, after each renewal."""

    def __init__(
        self, connection: RedisConnection, node: str, lease_s: float, on_renewal: Callable[[Renewal], object]
    ) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._lease_s: Final = lease_s
        self._on_renewal: Final = on_renewal
        self._loop: Final = asyncio.get_running_loop()
        self._client: Final = connection.blocking_client(lease_s / 2)
        self._ended: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._renew_for_ever, name="lease", daemon=True)

    async def start(self) -> None:
        """Returns when Redis knows the process."""
        self._on_renewal(await asyncio.to_thread(self._renew))
        self._thread.start()

    async def retire(self) -> None:
        """Give the lease back: the process drives no run any more."""
        self._ended.set()
        await asyncio.to_thread(self._end)

    def _renew_for_ever(self) -> None:
        while not self._ended.wait(self._lease_s / _RENEWALS):
            try:
                renewal = self._renew()
            except (RedisError, OSError) as exc:
                self._tell(self._connection.lost, exc)
            else:
                self._tell(self._renewed, renewal)

    def _renew(self) -> Renewal:
        known, failed, stops = self._call(RENEW, self._node, round(self._lease_s * 1000))
        words = [each.decode() for each in stops]
        return Renewal(bool(known), [node.decode() for node in failed], dict(zip(words[::2], words[1::2], strict=True)))

    def _renewed(self, renewal: Renewal) -> None:
        if not self._ended.is_set():
            self._connection.recovered()
            self._on_renewal(renewal)

    def _tell(self, what: Callable[..., object], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, argument)
        except RuntimeError:  # the loop has ended without `retire`
            self._ended.set()

    def _end(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        with suppress(RedisError, OSError):  # the lease ends by itself
            self._call(RETIRE, self._node)
        self._client.close()

    def _call(self, script: Script, *arguments: str | int) -> Any:
        base = self._connection.base
        try:
            return self._client.execute_command("EVALSHA", script.sha, 1, base, *arguments)
        except NoScriptError:
            return self._client.execute_command("EVAL", script.text, 1, base, *arguments)
