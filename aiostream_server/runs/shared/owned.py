"""A run that this process drives, and how much of it is written to Redis."""

import asyncio
import hashlib
from collections.abc import Callable
from contextlib import ExitStack
from typing import Final, NamedTuple

import structlog
from msgspec import json, msgpack

from aiostream_server.intake.principal import Owner
from aiostream_server.log.memory import MemoryReader
from aiostream_server.log.protocol import Reader
from aiostream_server.log.redis.append_call import Append
from aiostream_server.log.redis.packing import pack
from aiostream_server.log.redis.reserved import RESERVED_AHEAD, ReservedLog
from aiostream_server.log.redis.write_order import Birth, WriteOrder
from aiostream_server.runs.request import TurnKey
from aiostream_server.runs.run import Run
from aiostream_server.runs.shared.kept_request import pack_request

_CONFIRMED_S: Final = 5.0  # so late it is noticed that Redis has evicted the run; `mirror` waits for longer
_CONFIRMED_AHEAD: Final = RESERVED_AHEAD // 2  # of the numbers that are reserved

_log = structlog.get_logger()


class _Told(NamedTuple):
    """What Redis knows beside the events: the team, whether the run has finished, whether its request is kept, and
    whether the team has done its turn."""

    team: str | None = None
    finished: bool = False
    keeps: bool = False
    is_complete: bool = False


def digest(*parts: str | None) -> str:
    """A name for keys: what clients send may be long, and hold anything."""
    return hashlib.sha256(json.encode(parts)).hexdigest()[:32]


def conversation_digest(owner: Owner, conversation: str) -> str:
    return digest(*owner, conversation)


def turn_digest(key: TurnKey) -> str:
    return digest(*key.owner, key.conversation, key.model)


class OwnedRun:
    """`written` is the number of the last event in Redis; `start` the digest of its idempotency key, `fingerprint` what
    the key was used for. `viewers` are processes with viewers of the run, each with the time (of the event loop) until
    which that is known. `is_late`: Redis was away when the run began, or has lost it since."""

    def __init__(self, run: Run, retention_s: float, *, is_late: bool = False) -> None:
        if not isinstance(run.log, ReservedLog):
            raise TypeError("a shared run has a log with reserved numbers")
        self.run: Final = run
        self.log: Final = run.log
        self.written = run.log.written_before
        self.start = ""
        self.fingerprint = ""
        self.is_late = is_late
        self.is_known = run.earlier is not None
        self.known: Final = asyncio.Event()
        self.left: Final = asyncio.Event()
        """Set when nothing more is written of it."""
        self.is_kept = True
        self.is_complete = False
        self.completed: Final = asyncio.Event()
        self.viewers: Final[dict[str, float]] = {}
        self._confirmed_until = 0.0
        self._retention_ms: Final = max(1, round(retention_s * 1000))
        self._told: _Told | None = None
        self._telling = _Told()
        self._is_overtaken = False
        """Whether doubt came after the latest order."""
        self._request: tuple[str, str, bytes] | tuple[()] | None = None
        self._is_published = run.earlier is None
        self._watching: ExitStack | None = None
        self._reader: Reader | None = None

    @property
    def is_due(self) -> bool:
        """Whether there is something to write."""
        return self.log.committed > self.written or not self.is_known or self._state != self._told

    @property
    def is_confirmed(self) -> bool:
        """Whether Redis has said, since it was last asked about all runs, that this process drives it."""
        return self._told is not None

    @property
    def is_done(self) -> bool:
        """Whether Redis has all of a finished run."""
        return self.is_known and self._told is not None and self._told.finished

    @property
    def _state(self) -> _Told:
        run = self.run
        finished, team = run.finished is not None, None if run.spec is None else run.spec.id
        return _Told(team, finished, self._is_restartable and not finished, self.is_complete)

    @property
    def _is_restartable(self) -> bool:
        """Whether another process may begin the turn again, should this one fail now."""
        run = self.run
        if self.is_complete or run.spec is None or run.spec.config.restart == "never":
            return False
        return run.request.withdraws is None and bool(self._kept_request(run.spec.id))

    def _kept_request(self, team: str) -> tuple[str, str, bytes] | tuple[()]:
        """Made once; empty for one that is too large."""
        if self._request is None:
            packed = pack_request(self.run.request, team, self.start)
            if packed is None:
                _log.warning("request_too_large_to_restart", run_id=self.run.id, team=team)
            restarts = 0 if self.run.earlier is None else self.run.earlier.count
            self._request = () if packed is None else (str(restarts), team, packed)
        return self._request

    def order(self, now: float) -> WriteOrder | Append:
        """What is to be written now, by the event loop's time."""
        chunks, run = list(pack(self.log, self.written)), self.run
        if len(chunks) == 1 and self._needs_only_events(now, chunks[0].last):
            return Append(run.id, chunks[0].last, bool(self.viewers), chunks[0].payload)
        last = chunks[-1].last if chunks else self.written
        self._telling, self._is_overtaken = self._state, False
        return WriteOrder(
            run.id,
            self.written,
            last + RESERVED_AHEAD,
            self.log.keeps_from,
            self._retention_ms if self._telling.finished else -1,
            bool(self.viewers) or not self._is_published,
            chunks,
            birth=None if self.is_known else self._birth(),
            card=None if self._telling == self._told else msgpack.encode(run.card()),
            request=self._change_of_request(),
        )

    def _needs_only_events(self, now: float, last: int) -> bool:
        """Whether Redis needs nothing but the events, has earlier ones, and no other process can have changed the
        run."""
        is_reserved = last <= self.log.reserved - _CONFIRMED_AHEAD
        return now < self._confirmed_until and is_reserved and self.written > 0 and self._state == self._told

    def _change_of_request(self) -> tuple[str, str, bytes] | tuple[()] | None:
        told, telling = self._told or _Told(), self._telling
        if telling.keeps and not told.keeps:
            return self._request
        return () if telling.is_complete and not told.is_complete else None

    def _birth(self) -> Birth:
        run = self.run
        talk, turn = run.request.conversation, run.request.turn_key
        return Birth(
            json.encode(run.owner).decode(),
            str(round(run.created_at * 1000)),
            digest(*run.owner),
            "" if talk is None else conversation_digest(run.owner, talk.name),
            "" if turn is None else turn_digest(turn),
            self.start,
            self.is_late,
            self.fingerprint,
        )

    def wrote(self, last: int, now: float) -> None:
        """Redis has done all that was ordered; `last` is the number of the last event."""
        self.is_known = self._is_published = True
        self.known.set()
        self.log.reserve(last + RESERVED_AHEAD)
        self.appended(last)
        if self._is_overtaken:  # Redis may have lost it since, and before the reason of that doubt
            return
        self._confirmed_until = now + _CONFIRMED_S
        self._told = self._telling
        if self._told.is_complete:
            self._request = ()
            self.completed.set()

    def appended(self, last: int) -> None:
        """Redis has the events up to this number."""
        self.written = last
        if isinstance(self._reader, MemoryReader):
            self._reader.skip(last)

    def doubt(self) -> None:
        """The run may be another process's by now, or Redis may have lost some of its events."""
        self._confirmed_until = 0.0

    def forgotten(self) -> None:
        """Redis does not know the run: all of it is written again."""
        self.written, self.is_known, self._told = self.log.dropped, False, None
        self.is_late = True
        self.doubt()

    def disagreed(self, last: int) -> None:
        """Redis has other events than was thought, and has written none."""
        self.written, self._told, self._is_overtaken = last, None, True
        self.doubt()

    def watch(self, node: str, until: float) -> None:
        """A process has viewers of the run. They count as one viewer of its log."""
        self.viewers[node] = until
        if self._watching is None:
            self._watching = ExitStack()
            self._reader = self._watching.enter_context(self.run.watch(self.written))

    def call_at_news(self, tell: Callable[[], object]) -> None:
        """Call once there is something that Redis has not. Only for a run with viewers."""
        if self.log.committed > self.written:
            tell()
        elif isinstance(self._reader, MemoryReader):
            self._reader.call_at_news(tell)

    def unwatch(self, node: str) -> None:
        self.viewers.pop(node, None)
        if not self.viewers and self._watching is not None:
            watching, self._watching, self._reader = self._watching, None, None
            watching.close()  # the last viewer may cancel the run by leaving
