"""A caller that waits for a slot."""

import asyncio
from collections.abc import Callable
from typing import Final, TypeAlias

from aiostream_server.errors import ServerError, TooManyRuns
from aiostream_server.intake.principal import Owner

OnMove: TypeAlias = Callable[[int | None], object]
"""Called as soon as a caller waits, and when fewer others are before it: with its place in the queue, from 1. None: it
waits for a limit of its own key or user, or the place is not known."""


class QueuedCaller:
    """`obstacle` says for what it waits. `is_told` are those that want to know their place."""

    def __init__(self, run_id: str, owner: Owner, obstacle: str, on_move: OnMove | None = None) -> None:
        self.run_id: Final = run_id
        self.owner: Final = owner
        self.obstacle: Final = obstacle
        self._on_move: Final = on_move
        self._place: int | None = 0  # the one that it was told; 0: none yet
        self._admitted: Final[asyncio.Future[None]] = asyncio.get_running_loop().create_future()

    @property
    def is_decided(self) -> bool:
        """Whether it has a slot or was refused, or has given up."""
        return self._admitted.done()

    @property
    def is_told(self) -> bool:
        return self._on_move is not None

    @property
    def was_told(self) -> bool:
        """Whether it was told of a place."""
        return self._place != 0

    def admit(self) -> None:
        if not self.is_decided:
            self._admitted.set_result(None)

    def refuse(self, why: ServerError) -> None:
        if not self.is_decided:
            self._admitted.set_exception(why)

    def tell(self, place: int | None) -> None:
        """Tell of a better place, never of a worse one: keys that come later may be before it."""
        is_worse = self._place is not None and place is not None and place >= self._place > 0
        if self._on_move is not None and place != self._place and not is_worse:
            self._place = place
            self._on_move(place)

    async def until_admitted(self, within_s: float) -> None:
        """Raises `TooManyRuns` where no slot comes in time, and what it is refused with."""
        try:
            async with asyncio.timeout(within_s):
                await self._admitted
        except TimeoutError as exc:
            came_meanwhile = self._admitted.done() and not self._admitted.cancelled()
            if not came_meanwhile:
                raise TooManyRuns(self.obstacle) from exc
            self._admitted.result()
