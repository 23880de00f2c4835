"""Callers that Redis has refused again and again a moment ago: they are refused here, without asking it."""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiostream_server.intake.principal import Owner

_FLOOD_S: Final = 0.05  # a caller that was refused so often in so long is refused without asking Redis
_FLOOD: Final = 8
_OWNERS: Final = 1000


@dataclass(slots=True)
class _Refusals:
    """Of one owner, since a moment of the event loop's time."""

    since: float
    count: int
    why: str


class RecentRefusals:
    """For one event loop. Forgotten as soon as a slot may be free."""

    def __init__(self) -> None:
        self._by_owner: Final[dict[Owner, _Refusals]] = {}

    def clear(self) -> None:
        self._by_owner.clear()

    def of(self, owner: Owner) -> str | None:
        """Why the owner is refused at once; None: Redis is to be asked."""
        refusals = self._by_owner.get(owner)
        if refusals is None or refusals.count < _FLOOD or _now() - refusals.since > _FLOOD_S:
            return None
        return refusals.why

    def note(self, owner: Owner, why: str) -> None:
        """Redis has refused the owner."""
        refusals = self._by_owner.get(owner)
        if refusals is None or _now() - refusals.since > _FLOOD_S:
            if len(self._by_owner) > _OWNERS:
                self.clear()
            refusals = self._by_owner[owner] = _Refusals(_now(), 0, why)
        refusals.count += 1


def _now() -> float:
    return asyncio.get_running_loop().time()
