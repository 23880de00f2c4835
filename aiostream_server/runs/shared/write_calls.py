"""The calls in which a process writes its runs, numbered so that it notices when Redis has lost one of them.

Each `APPEND` names the number of the call before it. If Redis knows another one, then a call was lost, or a replica
without the latest ones has taken over, or another process has claimed runs: nothing is written, and all runs are in
doubt until a `WRITE` has looked at them.
"""

from collections.abc import Callable, Sequence
from itertools import count
from typing import Final

from aiostream_server.errors import RunsUnavailable
from aiostream_server.log.redis.append_call import Append, append_arguments
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.scripts import APPEND, WRITE
from aiostream_server.log.redis.write_order import WriteOrder, write_arguments


class WriteCalls:
    """Those of one process, one after the other. `on_doubt` is called before the answer of the call that shows it."""

    def __init__(self, connection: RedisConnection, node: str, on_doubt: Callable[[], object]) -> None:
        self._connection: Final = connection
        self._node: Final = node
        self._on_doubt: Final = on_doubt
        self._numbers: Final = count(1)
        self._latest = b""

    async def write(self, orders: Sequence[WriteOrder], lifetime_ms: int) -> Sequence[int]:
        """For each order the number of the run's last event in Redis, or why there is none (`write.lua`). Raises
        `RunsUnavailable`."""
        number = next(self._numbers)
        try:
            before, *stored = await self._connection.run(
                WRITE, self._node, lifetime_ms, number, *write_arguments(orders)
            )
        except RunsUnavailable:
            self._doubt(b"")
            raise
        if before != self._latest:
            self._on_doubt()
        self._latest = b"%d" % number
        return [int(each) for each in stored]

    async def append(self, appends: Sequence[Append], lifetime_ms: int) -> Sequence[bool]:
        """For each run whether its events were written; those with viewers have to stand first. Raises
        `RunsUnavailable`."""
        number = next(self._numbers)
        try:
            before, *lost = await self._connection.run(
                APPEND, self._node, lifetime_ms, self._latest, number, *append_arguments(appends)
            )
        except RunsUnavailable:
            self._doubt(b"")
            raise
        if before != self._latest:
            self._doubt(before)
            return [False] * len(appends)
        self._latest = b"%d" % number
        written = [True] * len(appends)
        for place in lost:
            written[place - 1] = False
        return written

    def _doubt(self, latest: bytes) -> None:
        self._latest = latest
        self._on_doubt()
