"""A run that another process drives: its `RunView`, and the mirrors that viewers here read it through."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Final

import structlog
from msgspec import msgpack, structs

from aiostream_server.errors import RunsUnavailable
from aiostream_server.events import FinishReason
from aiostream_server.intake.principal import Owner
from aiostream_server.log.protocol import Reader
from aiostream_server.log.redis.channels import Channels
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.mirror import Mirror
from aiostream_server.log.redis.scripts import READ, SEND, STOP
from aiostream_server.log.redis.shared_reader import SharedReader
from aiostream_server.runs.card import RunCard
from aiostream_server.runs.shared.owned import OwnedRun

_LINGER_S: Final = 1.0  # a viewer that reconnects finds the mirror again

_log = structlog.get_logger()
_decode_card: Final = msgpack.Decoder(RunCard).decode


class Mirrors:
    """The mirrors of one process, by run. `node` is the process."""

    def __init__(self, connection: RedisConnection, channels: Channels, node: str) -> None:
        self.connection: Final = connection
        self.node: Final = node
        self._channels: Final = channels
        self._followed: Final[dict[str, _Followed]] = {}

    @contextmanager
    def following(self, run: "RemoteRun") -> Iterator[Mirror]:
        """Keep the run's mirror up to date inside of the block."""
        followed = self._followed.get(run.id)
        if followed is None:
            followed = self._followed[run.id] = _Followed(self, run, self._channels)
        followed.run = run
        followed.users += 1
        try:
            yield followed.mirror
        finally:
            followed.users -= 1
            if not followed.users:
                asyncio.get_running_loop().call_later(_LINGER_S, self._forget_unused, run.id)

    @contextmanager
    def viewing(self, run: "RemoteRun") -> Iterator[Mirror]:
        """As `following`, and the process that drives the run knows that it has a viewer."""
        with self.following(run) as mirror:
            followed = self._followed[run.id]
            followed.viewers += 1
            followed.tell()
            try:
                yield mirror
            finally:
                followed.viewers -= 1
                if not followed.viewers:
                    followed.tell()

    def move_viewers(self, owned: OwnedRun) -> None:
        """Another process has taken the run over: its viewers here, and later ones, see what that one writes."""
        run, readers = owned.run, [each for each in owned.log.readers if isinstance(each, SharedReader)]
        card = msgpack.encode(run.card())
        remote = RemoteRun(self, run.owner, self.node, card, last=owned.written, finished=False)
        run.elsewhere = remote
        if not readers:
            return
        viewing = ExitStack()
        mirror = viewing.enter_context(self.viewing(remote))
        open_readers = {*readers}

        def closed(reader: SharedReader) -> None:
            open_readers.discard(reader)
            if not open_readers:
                viewing.close()

        for reader in readers:
            reader.on_close = partial(closed, reader)
            reader.move_to(mirror)

    def last_of(self, run_id: str) -> int:
        """The number of the last event that is known here; 0 where the run is not followed."""
        followed = self._followed.get(run_id)
        return 0 if followed is None else followed.mirror.committed

    def _forget_unused(self, run_id: str) -> None:
        followed = self._followed.get(run_id)
        if followed is not None and not followed.users:
            del self._followed[run_id]
            followed.task.cancel()

    async def close(self) -> None:
        followed = self._followed.values()
        tasks = [task for each in followed for task in (each.task, each.telling) if task is not None]
        self._followed.clear()
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class _Followed:
    """One mirror, who uses it, and the task that follows the run."""

    def __init__(self, mirrors: Mirrors, run: "RemoteRun", channels: Channels) -> None:
        self.run = run
        self.users = 0
        self.viewers = 0
        self.mirror: Final = Mirror(
            run.id,
            mirrors.connection,
            last=run.last_seq,
            finished=run.is_finished,
            on_state=self._take_state,
        )
        self._mirrors: Final = mirrors
        self._has_news = False
        self.telling: asyncio.Task[None] | None = None
        self.task: Final = asyncio.create_task(self.mirror.follow(channels), name=f"{run.id}-mirror")
        self.task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            _log.error("mirror_failed", run_id=self.run.id, exc_info=exc)
            self.mirror.abandon()

    def tell(self) -> None:
        """Tell the process that drives the run whether it has viewers here."""
        self._has_news = not self.mirror.finished
        if self.telling is None:
            self.telling = asyncio.create_task(self._tell(), name=f"{self.run.id}-viewers")

    async def _tell(self) -> None:
        """One message after the other, so that the latest one is the last that arrives."""
        try:
            while self._has_news:
                self._has_news = False
                message = msgpack.encode(("watch" if self.viewers else "unwatch", self.run.id, self._mirrors.node))
                with suppress(RunsUnavailable):  # it is repeated
                    await self._mirrors.connection.run(SEND, self.run.node, message)
        finally:
            self.telling = None

    def _take_state(self, node: str, card: bytes) -> None:
        self.run.take(node, card)
        if self.viewers:
            self.tell()


class RemoteRun:
    """A `RunView`. `node` is the process that drives it, or drove it."""

    def __init__(self, mirrors: Mirrors, owner: Owner, node: str, card: bytes, *, last: int, finished: bool) -> None:
        self.owner: Final = owner
        self.node = node
        self.last_seq = last
        self.is_finished = finished
        self._mirrors: Final = mirrors
        self._card = _decode_card(card)
        self.id: Final = self._card.id

    def card(self) -> RunCard:
        last = max(self._card.last_seq, self.last_seq, self._mirrors.last_of(self.id))
        return self._card if self._card.finished is not None else structs.replace(self._card, last_seq=last)

    def take(self, node: str, card: bytes) -> None:
        """The process that drives it has written a newer card."""
        self.node = node
        if card:
            self._card = _decode_card(card)

    @contextmanager
    def watch(self, after: int = 0) -> Iterator[Reader]:
        with self._mirrors.viewing(self) as mirror, mirror.reader(after) as reader:
            yield reader

    async def stop(self, reason: FinishReason) -> None:
        """Raises `RunsUnavailable`."""
        await self._mirrors.connection.run(STOP, self.id, reason)

    async def wait(self) -> None:
        with self._mirrors.following(self) as mirror:
            await mirror.ended.wait()
        with suppress(RunsUnavailable):
            if found := await self._mirrors.connection.run(READ, self.id, 0, 0):
                self.take(found[2].decode(), found[3])
