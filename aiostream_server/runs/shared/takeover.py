"""Ends the runs of a process that has failed, so that their viewers in other processes get a well-formed end.

Any process may claim them; Redis gives each to one. The end continues behind all numbers that the failed process may
have used; a `Dropped` tells what was shown there and not written.
"""

import asyncio
import time
from dataclasses import replace
from typing import Final

import structlog
from msgspec import msgpack

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import RunsUnavailable
from aiostream_server.events import Dropped, Entry, RunFinished, TokenCount, Usage
from aiostream_server.log.redis.connection import RedisConnection
from aiostream_server.log.redis.packing import entries_in, pack_entries
from aiostream_server.log.redis.scripts import CLAIM, FIND, READ, WRITE
from aiostream_server.log.redis.write_order import WriteOrder
from aiostream_server.runs.card import RunCard

_PAGE: Final = 64
_AGAIN_S: Final = 0.5

_log = structlog.get_logger()
_decode_card: Final = msgpack.Decoder(RunCard).decode


class Takeover:
    """For one process, `node`."""

    def __init__(self, connection: RedisConnection, node: str, limits: LimitsConfig) -> None:
        self.limits = limits
        self._connection: Final = connection
        self._node: Final = node
        self._working: Final[dict[str, asyncio.Task[None]]] = {}

    def begin(self, failed: str) -> None:
        """Claim and end the runs of this process, unless that is being done."""
        if failed not in self._working:
            working = asyncio.create_task(self._take_over(failed), name=f"takeover-{failed}")
            self._working[failed] = working
            working.add_done_callback(lambda _: self._working.pop(failed, None))

    async def close(self) -> None:
        """Whatever is not ended yet is claimed by another process, once this one's lease is over."""
        for working in tuple(self._working.values()):
            working.cancel()
        if self._working:
            await asyncio.wait(tuple(self._working.values()))

    async def _take_over(self, failed: str) -> None:
        try:
            claimed = [run.decode() for run in await self._connection.run(CLAIM, failed, self._node)]
        except RunsUnavailable:
            return
        if claimed:
            _log.warning("runs_taken_over", runs=len(claimed), node=failed)
        for run_id in claimed:
            while True:
                try:
                    await self._end(run_id)
                    break
                except RunsUnavailable:
                    await asyncio.sleep(_AGAIN_S)

    async def _end(self, run_id: str) -> None:
        found = await self._connection.run(FIND, run_id)
        if len(found) == 1 or not found or found[0].decode() != self._node:
            return
        last, reserved, card = int(found[2]), int(found[3] or 0), _decode_card(found[5])
        now = time.time()
        usage = await self._usage(run_id)
        finished = RunFinished("interrupted", usage, round(max(0.0, now - card.created_at), 6))
        entries = [Entry(max(last, reserved) + 1, now, finished)]
        if reserved > last:
            entries.insert(0, Entry(reserved, now, Dropped(first=last + 1)))
        packed = pack_entries(entries)
        card = replace(card, finished=finished, last_seq=packed.last, ended_at=now)
        retention_ms = max(1, round(self.limits.retention_s * 1000))
        order = WriteOrder(run_id, last, packed.last, 0, retention_ms, is_viewed=True)
        arguments = order.arguments([packed], birth=None, card=msgpack.encode(card))
        await self._connection.run(WRITE, self._node, retention_ms, *arguments)

    async def _usage(self, run_id: str) -> TokenCount:
        """What its model calls have cost, as far as that was written."""
        total, after = TokenCount(), 0
        while True:
            found = await self._connection.run(READ, run_id, after, _PAGE)
            if not found or not found[4]:
                return total
            for payload in found[4]:
                for entry in entries_in(payload, after):
                    after = entry.seq
                    if isinstance(entry.event, Usage):
                        total += TokenCount(entry.event.prompt_tokens, entry.event.completion_tokens)
