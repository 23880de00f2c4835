"""The log of a run that another process drives, as its viewers in this process read it.

A `Mirror` follows a run in Redis: it takes what is published, repairs gaps by reading, and holds the latest events in a
`MemoryLog`, so that viewers take them as those of a local run. Older events are read from Redis, each viewer at its own
pace. One mirror serves all viewers of its run.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from aiostream_server.errors import RunsUnavailable
from aiostream_server.events import Dropped, Entry, Restarted, RunFinished, TokenCount
from aiostream_server.log.memory import MemoryLog
from aiostream_server.log.redis.channels import Channels
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.packing import Tokens, entries_in, unpack
from aiostream_server.log.redis.reserved import RESERVED_AHEAD
from aiostream_server.log.redis.scripts import READ
from aiostream_server.log.redis.shared_reader import SharedReader

_HELD_BYTES: Final = 1024**2
_PAGE: Final = 16  # payloads
_CHECK_S: Final = 1.0
_LOST_S: Final = 15.0


class Mirror(MemoryLog):
    """Begins behind event number `last`. `on_state` is called at each look at the run: with the process that drives it,
    and its card."""

    def __init__(
        self,
        run_id: str,
        connection: RedisConnection,
        *,
        last: int,
        finished: bool,
        on_state: Callable[[str, bytes], object],
    ) -> None:
        super().__init__(run_id, max_bytes=_HELD_BYTES)
        self._dropped = last
        self.finished = finished
        self.ended: Final = asyncio.Event()
        if finished:
            self.ended.set()
        self._connection: Final = connection
        self._on_state: Final = on_state
        self._missing_since: float | None = None
        self._is_behind: Final = asyncio.Event()

    def reader(self, after: int = 0) -> SharedReader:
        return SharedReader.of(self, after)

    def abandon(self) -> None:
        """Nothing more can be read: viewers see that their stream is not whole."""
        self._end()

    async def page(self, after: int) -> Sequence[Entry]:
        """Some of the events behind number `after`, as Redis has them; none if it has no more. A `Dropped` stands for
        those that are gone. Raises `RunsUnavailable`."""
        found = await self._connection.run(READ, self.run_id, after, _PAGE)
        entries: list[Entry] = []
        for payload in found[4] if found else ():
            for entry in entries_in(payload, after):
                if isinstance(entry.event, Dropped):
                    entry = Entry(entry.seq, entry.timestamp, Dropped(first=after + 1))
                elif entry.seq > after + 1:
                    entries.append(Entry(entry.seq - 1, entry.timestamp, Dropped(first=after + 1)))
                entries.append(entry)
                after = entry.seq
        return entries

    async def follow(self, channels: Channels) -> None:
        """Take all that comes, until the run has finished."""
        channel = f"live:{self.run_id}"
        repair = self._is_behind.set
        channels.on_reconnect.append(repair)
        try:
            await channels.listen(channel, self._take_message)
            while not self.finished:
                self._is_behind.clear()
                with suppress(RunsUnavailable):
                    await self._catch_up()
                if not self.finished:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(_CHECK_S):
                            await self._is_behind.wait()
            await self._look()
        finally:
            channels.on_reconnect.remove(repair)
            await channels.leave(channel)

    async def _look(self) -> None:
        """Read the card of the finished run."""
        with suppress(RunsUnavailable):
            if found := await self._connection.run(READ, self.run_id, 0, 0):
                self._on_state(found[2].decode(), found[3])

    async def _catch_up(self) -> None:
        while True:
            found = await self._connection.run(READ, self.run_id, self.committed, _PAGE)
            if not found:
                self._miss()
                return
            self._missing_since = None
            _, finished, node, card, payloads = found
            for payload in payloads:
                self.take(payload, fills_gaps=True)
            self._on_state(node.decode(), card)
            if not payloads:
                if finished and not self.finished:  # its last event is kept no longer
                    self._end()
                return

    def _miss(self) -> None:
        """Redis has lost the run. Its process writes it again; if that has failed, too, the run ends here, behind all
        numbers that its own viewers may have seen."""
        now = time.monotonic()
        if self._missing_since is None:
            self._missing_since = now
        elif now - self._missing_since > _LOST_S:
            self.drop_all(self.committed + RESERVED_AHEAD)  # readers get a `Dropped` for these
            self._take_entry(Entry(self.committed + 1, time.time(), RunFinished("interrupted", TokenCount(), 0.0)))

    def _take_message(self, payload: bytes) -> None:
        if not self.take(payload):
            self._is_behind.set()

    def take(self, payload: bytes, *, fills_gaps: bool = False) -> bool:
        """Add what is new. Returns False, and adds nothing, for events behind a gap. With `fills_gaps` a `Dropped`
        stands for it."""
        for item in unpack(payload):
            first = item.event.first if isinstance(item, Entry) and isinstance(item.event, Dropped) else item.seq
            if (item.last if isinstance(item, Tokens) else item.seq) <= self.committed or self.finished:
                continue
            if first > self.committed + 1:
                if not fills_gaps:
                    return False
                dropped = Dropped(first=self.committed + 1)
                if isinstance(item, Tokens):
                    self._jump(Entry(item.seq - 1, item.times[0], dropped))
                elif isinstance(item.event, Dropped):  # Redis has lost what stood before it
                    item = Entry(item.seq, item.timestamp, dropped)
                else:
                    self._jump(Entry(item.seq - 1, item.timestamp, dropped))
            if isinstance(item, Tokens):
                self._take_tokens(item.behind(self.committed))
            elif item.seq > self.committed + 1:
                self._jump(item)
            else:
                self._take_entry(item)
        return True

    def _take_tokens(self, item: Tokens) -> None:
        last = self.committed
        for text, when in zip(item.texts, item.times, strict=True):
            self.add_tokens(item.agent, item.kind, (text,), when)
        self.keep_to_bound()
        for reader in self.readers:
            is_shown = reader.after == last and reader._take_tokens(  # noqa: SLF001 - as `MemoryLog.say` does
                item.agent, item.kind, item.texts, item.times[-1], item.times
            )
            if not is_shown:
                reader.notify(at_once=True)

    def _take_entry(self, entry: Entry) -> None:
        self.add(entry.event, entry.timestamp)
        self.last_active_at = time.monotonic()
        self.keep_to_bound()
        if isinstance(entry.event, RunFinished):
            self._end()
        elif isinstance(entry.event, Restarted):
            self._is_behind.set()  # look which process drives it now
        for reader in self.readers:
            reader.notify(at_once=False)

    def _jump(self, dropped: Entry) -> None:
        """Forget all that is held, which readers take from Redis then, and continue at a number further on."""
        self.drop_all(dropped.seq - 1)
        self._take_entry(dropped)
        for reader in self.readers:
            reader.wake()  # a shortcut takes only what follows

    def _end(self) -> None:
        self.finished = True
        self.ended.set()
        self._is_behind.set()  # `follow` ends
        for reader in self.readers:
            reader.wake()
