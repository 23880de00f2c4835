"""Which runs were started with an idempotency key: asked for again, such a run is found instead of started twice."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiostream_server.errors import Conflict
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.run import Run


@dataclass(frozen=True, slots=True)
class Idempotency:
    """A caller's `Idempotency-Key`, and a fingerprint of what was asked with it."""

    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class _Start:
    """A run that was started, or is about to be: `run` fails as its start fails, for all who wait for it."""

    fingerprint: str
    run: asyncio.Future[Run]


class KnownStarts:
    """A key is its owner's own, and known for as long as its run is kept."""

    def __init__(self) -> None:
        self._starts: dict[tuple[Owner, str], _Start] = {}
        self._known_as: dict[str, tuple[Owner, str]] = {}  # by run id

    def __len__(self) -> int:
        return len(self._starts)

    async def find_or_start(self, owner: Owner, idempotency: Idempotency, start: Callable[[], Awaitable[Run]]) -> Run:
        """Raises `Conflict` for a key that was used for something else, and whatever `start` raises."""
        known_as = (owner, idempotency.key)
        while (known := self._starts.get(known_as)) is not None:
            if known.fingerprint != idempotency.fingerprint:
                raise Conflict("this Idempotency-Key was used for another request")
            await asyncio.wait({known.run})
            if not known.run.cancelled():  # else who was to start it left before it was admitted: begin again
                return known.run.result()
        return await self._start(known_as, idempotency.fingerprint, start)

    def forget(self, run_id: str) -> None:
        """The run is kept no longer."""
        if (known_as := self._known_as.pop(run_id, None)) is not None:
            del self._starts[known_as]

    async def _start(self, known_as: tuple[Owner, str], fingerprint: str, start: Callable[[], Awaitable[Run]]) -> Run:
        started: asyncio.Future[Run] = asyncio.get_running_loop().create_future()
        self._starts[known_as] = _Start(fingerprint, started)
        try:
            run = await start()
        except BaseException as exc:
            del self._starts[known_as]
            if isinstance(exc, Exception):
                started.set_exception(exc)
                started.exception()  # seen, also where nobody else waits for it
            else:
                started.cancel()
            raise
        self._known_as[run.id] = known_as
        started.set_result(run)
        return run
