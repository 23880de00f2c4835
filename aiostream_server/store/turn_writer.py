"""The thread that writes conversations: every turn that was kept meanwhile, in one transaction (group commit).

A turn stays in the queue until it is on the disk. There is no deadline for that: if the database is locked, full or
down, it is retried for as long as the process lives. Its caller waits for the first attempt only (`NotWrittenYet`).
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final

import structlog
from sqlalchemy.engine import URL
from sqlalchemy.exc import DataError, DBAPIError, OperationalError, SQLAlchemyError

from aiostream_server.store.database import DATABASE_ERRORS, ConversationsUnavailable, Link, NotWrittenYet
from aiostream_server.store.schema import digest
from aiostream_server.store.team_memory import Address, TeamMemory
from aiostream_server.store.threads import Outcome, StoreThread, new_future
from aiostream_server.store.turn_queue import Pending, TurnQueue
from aiostream_server.store.turn_transaction import KeptTurn, write_turns

_HURRIED_PAUSE_S: Final = 0.1

_log = structlog.get_logger()


class TurnWriter(StoreThread):
    def __init__(self, url: URL, *, timeout_s: float, expiry_s: float) -> None:
        self._expiry_s: Final = expiry_s
        self._turns: Final = TurnQueue()
        self._until: float | None = None  # when the thread ends, whatever is left
        self._empty: list[asyncio.Future[None]] = []
        super().__init__(url, "conversations-writer", timeout_s=timeout_s)

    # Called in the event loop

    async def keep(self, turn: KeptTurn) -> None:
        """Durable when it returns. Raises `NotWrittenYet`, and `ConversationsUnavailable` for what never will be."""
        pending = Pending(turn)
        with self.changed:
            self.check_open()
            self._turns.add(pending)
            self.changed.notify()
        await asyncio.shield(pending.done)

    def pending(self, name: str) -> Sequence[KeptTurn]:
        """What is not written yet of the conversation of this digest, oldest first."""
        if not self._turns:
            return ()
        with self.changed:
            return [each.turn for each in self._turns.of(name)]

    @property
    def held(self) -> int:
        """How many turns wait for a database that has failed."""
        with self.changed:
            return self._turns.held

    async def spend_pending(self, address: Address, memory: TeamMemory) -> bool | None:
        """Whether the memory was still waiting for the user; None if the database has to be asked."""
        identity, name = memory.identity(address), digest(*address)
        while True:
            with self.changed:
                found = [each for each in self._turns.of(name) if each.turn.memory.identity(address) == identity]
                if not found:
                    return None
                pending = found[-1]
                if not pending.is_being_written:
                    was_waiting = pending.turn.memory.waits_for is not None
                    pending.turn = replace(pending.turn, memory=pending.turn.memory.spent())
                    return was_waiting
                attempted = new_future()
                pending.watching.append(attempted)
            await attempted

    async def settle(self) -> None:
        """Wait until every turn is written. What has failed is tried again at once, and often."""
        empty = new_future()
        with self.changed:
            if not self._turns:
                return
            self._empty.append(empty)
            self.changed.notify()
        await empty

    async def close(self, *, within_s: float) -> None:
        """What cannot be written in that time is lost."""
        with self.changed:
            self._until = time.monotonic() + within_s
            self.changed.notify()
        await self.ended()

    # Called in the thread

    def serve(self, link: Link) -> None:
        while True:
            with self.changed:
                self.changed.wait_for(self._has_work, self._turns.pause_s())
                if self._is_over():
                    break
                group = self._turns.take(even_held=self._hurries)
                jobs, self._jobs = self._jobs, []
            if group:
                self._write(link, group)
            for job in jobs:
                self.report([(job.done, self.do(link, job.work, writes=True))])
            del group, jobs  # while the thread waits
            self._tell_if_empty()

    def _has_work(self) -> bool:
        return bool(self._jobs or self._hurries or self._turns.pause_s() == 0.0)

    @property
    def _hurries(self) -> bool:
        return self._until is not None or bool(self._empty)

    def _is_over(self) -> bool:
        is_late = self._until is not None and time.monotonic() > self._until
        return self._until is not None and not self._jobs and (is_late or not self._turns)

    def _write(self, link: Link, group: Sequence[Pending]) -> None:
        turns = [each.turn for each in group]
        try:
            link.transact(partial(write_turns, turns=turns, expiry_s=self._expiry_s), writes=True)
        except Exception as exc:  # the database's, or raised by `merge`
            if len(group) > 1 and not _is_about_all(exc):
                for each in group:
                    self._write(link, [each])
            else:
                self._failed(group, exc)
        else:
            self._written(group)

    def _written(self, group: Sequence[Pending]) -> None:
        with self.changed:
            self._turns.remove(group)
            watching = _watching(group)
        if late := sum(each.failures > 0 for each in group):
            _log.info("conversations_kept_late", turns=late, waiting=len(self._turns))
        self.report([(future, None) for future in (*(each.done for each in group), *watching)])

    def _failed(self, group: Sequence[Pending], error: Exception) -> None:
        reason = self.unavailable(error)
        told: Sequence[Pending] = ()
        with self.changed:
            if _is_final(error):
                self._turns.give_up(group)
                lost = group
            else:
                told, lost = self._turns.hold(group, is_outage=_is_about_all(error))
            watching = _watching(group)
        if told:
            _log.warning("conversations_not_written", turns=len(told), waiting=len(self._turns), reason=str(reason))
        self.report(
            [(each.done, NotWrittenYet(str(reason))) for each in told]
            + [(each.done, reason) for each in lost]
            + [(future, None) for future in watching]
        )
        if self._hurries:
            time.sleep(_HURRIED_PAUSE_S)

    def _tell_if_empty(self) -> None:
        with self.changed:
            if self._turns:
                return
            empty, self._empty = self._empty, []
        self.report([(each, None) for each in empty])

    def abandon(self) -> Sequence[Outcome]:
        lost = ConversationsUnavailable("the server ended before the turn could be written")
        turns = self._turns.clear()
        if turns:
            _log.error("conversations_lost", turns=len(turns))
        told = [(future, None) for future in (*self._empty, *_watching(turns))]
        unheard = (*(each.done for each in turns), *(job.done for job in self._jobs))
        return [*told, *((done, lost) for done in unheard)]


def _watching(group: Sequence[Pending]) -> Sequence["asyncio.Future[None]"]:
    watching: list[asyncio.Future[None]] = []
    for each in group:
        watching += each.watching
        each.watching = []
    return watching


def _is_about_all(error: Exception) -> bool:
    """Whether the database failed as a whole. Otherwise one turn of the group may be what it refuses."""
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or isinstance(error, OperationalError)
    return isinstance(error, DATABASE_ERRORS) and not isinstance(error, SQLAlchemyError)


def _is_final(error: Exception) -> bool:
    """Whether the same turn would fail again, whatever becomes of the database."""
    return isinstance(error, DataError) or not isinstance(error, DATABASE_ERRORS)
