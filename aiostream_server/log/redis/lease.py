"""Tells Redis that this process lives, and learns what it has to know: which others have failed, and which runs to end.

A thread renews the lease, so that a busy event loop does not look like a failed process; a process that is stopped
(SIGSTOP) does. Its calls also find out when Redis answers again, and where: after a failure it looks for the primary.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from redis import Redis
from redis.exceptions import RedisError

from aiostream_server.log.redis.check import run_blocking
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.primary import Address
from aiostream_server.log.redis.scripts import RENEW, RETIRE

_RENEWALS: Final = 8  # in the time of one lease
_BEHIND_S: Final = 0.005  # so long after the end of another's lease it is looked for


@dataclass(frozen=True, slots=True)
class Renewal:
    """`was_known` is false if the lease was over, or if Redis has lost the last renewal, and so perhaps more.

    `stops` are reasons by run. With a `problem` Redis renews leases, and cannot be used for anything else. The lease
    lasts at least to `until`, by `time.monotonic()`.
    """

    was_known: bool
    failed: Sequence[str]
    stops: Mapping[str, str]
    until: float
    problem: Exception | None = None


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
        self._client: Redis | None = None
        self._address: Address = ("", 0)
        self._until = 0
        self._next_s = lease_s / _RENEWALS
        """How long until the next renewal."""
        self._ended: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._renew_for_ever, name="lease", daemon=True)

    async def start(self) -> None:
        """Returns when Redis knows the process, or at once while Redis is away."""
        if self._connection.is_available:
            try:
                self._renewed(await asyncio.to_thread(self._renew))
            except (RedisError, OSError) as exc:
                self._connection.lost(exc)
        self._thread.start()

    async def retire(self) -> None:
        """Give the lease back: the process drives no run any more."""
        self._ended.set()
        await asyncio.to_thread(self._end)

    def _renew_for_ever(self) -> None:
        while not self._ended.wait(self._next_s):
            self._next_s = self._lease_s / _RENEWALS
            try:
                renewal = self._renew()
            except (RedisError, OSError) as exc:
                self._tell(self._connection.lost, exc)
            else:
                self._tell(self._renewed, renewal)

    def _renew(self) -> Renewal:
        primary, is_new = self._connection.primary, self._client is None or not self._connection.is_available
        if is_new:
            self._disconnect()
            self._address, self._client = primary.connect(self._lease_s / 2)
        try:
            if self._connection.address is None:
                primary.check(self._client)  # says what is wrong better than a script that fails
            asked_at = time.monotonic()
            before, until, failed, stops, next_end_ms = run_blocking(
                self._client, self._connection.base, RENEW, self._node, round(self._lease_s * 1000), self._until
            )
        except BaseException:
            self._disconnect()
            raise
        was_known, self._until = before == self._until, until
        # a process that lives renews its lease long before it ends: the runs of one that has failed wait no longer
        self._next_s = min(self._next_s, next_end_ms / 1000 + _BEHIND_S)
        words = [each.decode() for each in stops]
        reasons = dict(zip(words[::2], words[1::2], strict=True))
        nodes, problem = [node.decode() for node in failed], self._problem() if is_new else None
        return Renewal(was_known, nodes, reasons, asked_at + self._lease_s, problem)

    def _problem(self) -> Exception | None:
        """What else does not work. The lease was renewed first, so that no other process takes the runs meanwhile."""
        try:
            self._connection.primary.check(self._client)
        except (RedisError, OSError) as exc:
            return exc
        return None

    def _disconnect(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _renewed(self, renewal: Renewal) -> None:
        if not self._ended.is_set():
            self._connection.renewed(renewal.until, was_known=renewal.was_known)
            if renewal.problem is None:
                self._connection.recovered(self._address)
            else:
                self._connection.lost(renewal.problem)
            self._on_renewal(renewal)

    def _tell(self, what: Callable[..., object], argument: object) -> None:
        try:
            self._loop.call_soon_threadsafe(what, argument)
        except RuntimeError:  # the loop has ended without `retire`
            self._ended.set()

    def _end(self) -> None:
        if self._thread.ident is not None:
            self._thread.join()
        if self._client is not None:
            with suppress(RedisError, OSError):  # the lease ends by itself
                run_blocking(self._client, self._connection.base, RETIRE, self._node)
        self._disconnect()
