"""Idempotency: a request that repeats an `Idempotency-Key` finds the run that the first one started."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

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

    def is_known(self, owner: Owner, key: str) -> bool:
        """Whether a run may be found by this key."""

    async def find_or_start(
        self, owner: Owner, idempotency: Idempotency, start: Callable[[], Coroutine[Any, Any, RunView]]
    ) -> StartedRun:
        """Find the run of this key, or call `start` once, however many ask at the same time.

        Raises `Conflict` if the key was used with another fingerprint. What `start` raises is raised to every caller
        that waits for it, and the key is free again. If the caller that starts is cancelled, another one starts.
        """


class MemoryStarts:
    """The `Starts` of one process. Call `forget` when a run is no longer kept."""

    def __init__(self) -> None:
        self._starts: dict[tuple[Owner, str], tuple[str, asyncio.Task[RunView]]] = {}  # with the fingerprint
        self._key_of: dict[str, tuple[Owner, str]] = {}  # by run id

    def is_known(self, owner: Owner, key: str) -> bool:
        return (owner, key) in self._starts

    async def find_or_start(
        self, owner: Owner, idempotency: Idempotency, start: Callable[[], Coroutine[Any, Any, RunView]]
    ) -> StartedRun:
        key = owner, idempotency.key
        while (known := self._starts.get(key)) is not None:
            fingerprint, starting = known
            if fingerprint != idempotency.fingerprint:
                raise Conflict("this Idempotency-Key was used for another request")
            await asyncio.wait({starting})
            if not starting.cancelled():  # else the caller that was starting it left: begin again
                return StartedRun(starting.result(), is_replay=True)
        task = asyncio.create_task(start())
        self._starts[key] = idempotency.fingerprint, task
        try:
            run = await task
        except BaseException:
            del self._starts[key]
            raise
        self._key_of[run.id] = key
        return StartedRun(run, is_replay=False)

    def forget(self, run_id: str) -> None:
        """The run is no longer kept: its key may start another."""
        if (key := self._key_of.pop(run_id, None)) is not None:
            del self._starts[key]
