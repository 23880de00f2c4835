"""A run's wait for its slot in the admission queue, which viewers of the run are told about."""

import asyncio
from collections.abc import Callable
from typing import Final

from aiostream_server.events import Waiting
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.admission import Admission

_ORDINALS: Final = {1: "st", 2: "nd", 3: "rd"}


class SlotWait:
    """Enters the queue in a task of its own. `release` has to follow, whether it got the slot or not."""

    def __init__(self, admission: Admission, owner: Owner, run_id: str) -> None:
        self._admission = admission
        self._run_id = run_id
        self._position: int | None = None
        self._is_queued = asyncio.Event()
        self._on_move: Callable[[Waiting], object] | None = None
        self._entering = asyncio.create_task(admission.enter(owner, run_id, self._moved), name=f"{run_id}-slot")

    async def until_queued(self) -> None:
        """Returns once the slot is there, or the run has its place in the queue. Raises what `Admission.enter` raises
        at once."""
        queued = asyncio.create_task(self._is_queued.wait())
        try:
            await asyncio.wait({queued, self._entering}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            queued.cancel()
        if self._entering.done():
            self._entering.result()

    @property
    def is_over(self) -> bool:
        return self._entering.done()

    async def until_over(self, on_move: Callable[[Waiting], object]) -> None:
        """Call `on_move` for each place in the queue, beginning with the present one, and at the end.

        Raises `TooManyRuns`, and `ShuttingDown`.
        """
        self._on_move = on_move
        on_move(_place(self._position))
        try:
            await asyncio.shield(self._entering)
        finally:
            self._on_move = None
        on_move(Waiting("It is your turn", "queue", position=0))

    def release(self) -> None:
        """Give the slot back, or leave the queue."""
        if not self._entering.done():
            self._entering.cancel()
        elif not self._entering.cancelled() and self._entering.exception() is None:
            self._admission.leave(self._run_id)

    def _moved(self, position: int | None) -> None:
        self._position = position
        self._is_queued.set()
        if self._on_move is not None:
            self._on_move(_place(position))


def _place(position: int | None) -> Waiting:
    """`3rd in the queue`."""
    if position is None:
        return Waiting("Waiting for another run to end", "queue")
    ending = "th" if position % 100 in (11, 12, 13) else _ORDINALS.get(position % 10, "th")
    return Waiting(f"{position}{ending} in the queue", "queue", position=position)
