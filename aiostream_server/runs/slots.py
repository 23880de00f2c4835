"""The slots that runs hold in one process, and what the limits say of them. Nothing here waits."""

from collections import Counter
from typing import Final, Literal, TypeAlias

from aiostream_server.config.model import LimitsConfig
from aiostream_server.intake.principal import Owner

Obstacle: TypeAlias = Literal["all", "key", "user"]
"""The limit that leaves no slot: of all runs, of those of the owner's key, or of the user."""


class HeldSlots:
    """By the ids of their runs."""

    def __init__(self) -> None:
        self._owners: Final[dict[str, Owner]] = {}
        self._taken: Final[Counter[str | Owner | None]] = Counter()  # by key id, and by owner

    def __len__(self) -> int:
        return len(self._owners)

    def __contains__(self, run_id: str) -> bool:
        return run_id in self._owners

    def by_run(self) -> dict[str, Owner]:
        return dict(self._owners)

    def take(self, owner: Owner, run_id: str) -> None:
        if run_id not in self._owners:
            self._owners[run_id] = owner
            for counted in (owner.key_id, owner):
                self._taken[counted] += 1

    def give_back(self, run_id: str) -> None:
        """Nothing happens where the run has none."""
        if (owner := self._owners.pop(run_id, None)) is not None:
            for counted in (owner.key_id, owner):
                self._taken[counted] -= 1
                if not self._taken[counted]:
                    del self._taken[counted]

    def obstacle(self, owner: Owner, limits: LimitsConfig) -> Obstacle | None:
        """None if there is a slot for the owner."""
        if len(self._owners) >= limits.max_runs:
            return "all"
        return self.own_obstacle(owner, limits)

    def own_obstacle(self, owner: Owner, limits: LimitsConfig) -> Obstacle | None:
        """The same, but for the limit of all runs."""
        if 0 < limits.max_runs_per_key <= self._taken[owner.key_id]:
            return "key"
        if owner.user_id is not None and 0 < limits.max_runs_per_user <= self._taken[owner]:
            return "user"
        return None


def obstacle_text(obstacle: Obstacle, limits: LimitsConfig) -> str:
    """For the client."""
    if obstacle == "key":
        return (
            f"{_going_on(limits.max_runs_per_key, 'run of this key', 'runs of this key')}; try again when one is done"
        )
    if obstacle == "user":
        stop = "stop it" if limits.max_runs_per_user == 1 else "stop one"
        return f"{_going_on(limits.max_runs_per_user, 'of your runs', 'of your runs')}; {stop}, or wait for its end"
    return f"{_going_on(limits.max_runs, 'run', 'runs')}; try again in a moment"


def _going_on(most: int, one: str, several: str) -> str:
    return f"one {one} is still going on" if most == 1 else f"{most} {several} are still going on"
