"""Idempotency: a request that repeats an `Idempotency-Key` finds the run that the first one started."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from aiostream_server.errors import Conflict
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.card import RunView


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's `Idempotency-Key`, and a fingerprint of what was asked with it."""

    key: str
    fingerprint: str


class StartedRun(NamedTuple):
    """`is_replay`: an earlier request with the same key has started the run."""

    run: RunView
    is_replay: bool


class Starts(Protocol):
    """The idempotency keys of each owner, for as long as their runs are kept."""

    async def find_or_start(
        self, owner: Owner, idempotency: Idempotency, start: Callable[[], Awaitable[RunView]]
    ) -> StartedRun:
        """Find the run of this key, or call `start` once, however many ask at the same time.

        Raises `Conflict` if the key was used with another fingerprint. What `start` raises is raised to every caller
        that waits for it, and the key is free again. If the caller that starts is cancelled, another one starts.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Start:
    """`run` is done once the run has started, or has failed to."""

    fingerprint: str
    run: asyncio.Future[RunView]


class MemoryStarts:
    """The `Starts` of one process. Call `forget` when a run is no longer kept."""

    def __init__(self) -> None:
        self._starts: dict[tuple[Owner, str], _Start] = {}
        self._key_of: dict[str, tuple[Owner, str]] = {}  # by run id

    def __len__(self) -> int:
        return len(self._starts)

    async def find_or_start(
        self, owner: Owner, idempotency: Idempotency, start: Callable[[], Awaitable[RunView]]
    ) -> StartedRun:
        key = (owner, idempotency.key)
        while (known := self._starts.get(key)) is not None:
            if known.fingerprint != idempotency.fingerprint:
                raise Conflict("this Idempotency-Key was used for another request")
            await asyncio.wait({known.run})
            if not known.run.cancelled():  # else the caller that was starting it left: begin again
                return StartedRun(known.run.result(), is_replay=True)
        return StartedRun(await self._start(key, idempotency.fingerprint, start), is_replay=False)

    def forget(self, run_id: str) -> None:
        """The run is no longer kept: its key may start another."""
        if (key := self._key_of.pop(run_id, None)) is not None:
            del self._starts[key]

    async def _start(
        self, key: tuple[Owner, str], fingerprint: str, start: Callable[[], Awaitable[RunView]]
    ) -> RunView:
        started: asyncio.Future[RunView] = asyncio.get_running_loop().create_future()
        self._starts[key] = _Start(fingerprint, started)
        try:
            run = await start()
        except BaseException as exc:
            del self._starts[key]
            if isinstance(exc, Exception):
                started.set_exception(exc)
                started.exception()  # mark it as retrieved: perhaps no other caller waits for it
            else:
                started.cancel()
            raise
        self._key_of[run.id] = key
        started.set_result(run)
        return run
