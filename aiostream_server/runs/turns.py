"""One question at a time in each conversation: what happens to a second one while the first is answered.

`[conversations] concurrent_turns` decides: `queue` it, `reject` it, or `interrupt` the first.
"""

from collections.abc import Sequence
from typing import Final, Protocol

from aiostream_server.config.model import ConcurrentTurns
from aiostream_server.errors import Conflict
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.card import RunView
from aiostream_server.runs.request import TurnKey

MAX_QUEUED: Final = 3
"""Questions of one conversation that may wait behind the one that is answered."""


class Turns(Protocol):
    """The live runs of each conversation."""

    def set_policy(self, policy: ConcurrentTurns) -> None:
        """Set the policy for runs that start from now on."""

    def may_free_a_slot(self, owner: Owner) -> bool:
        """Whether a question of the owner may end one of the owner's runs, and so get its slot."""

    async def prepare(self, key: TurnKey) -> None:
        """Called before the run takes its slot: refuse it with `Conflict`, or end the runs that it interrupts."""

    async def enter(self, key: TurnKey, run: RunView) -> Sequence[RunView]:
        """Add a run that is about to start. Returns the runs that it has to wait for.

        Checks the policy and adds in one step: of two runs that enter at once, `reject` lets one in. Raises `Conflict`.
        """

    def leave(self, key: TurnKey, run: RunView) -> None:
        """The run has ended, or never started."""


class MemoryTurns:
    """The `Turns` of one process."""

    def __init__(self, policy: ConcurrentTurns) -> None:
        self._policy = policy
        self._live: dict[TurnKey, list[RunView]] = {}

    def set_policy(self, policy: ConcurrentTurns) -> None:
        self._policy = policy

    def may_free_a_slot(self, owner: Owner) -> bool:
        return self._policy == "interrupt" and any(key.owner == owner for key in self._live)

    async def prepare(self, key: TurnKey) -> None:
        self._check(key)
        if self._policy == "interrupt":
            for run in tuple(self._live.get(key, ())):  # their slots are free then
                await run.stop("cancelled")
                await run.wait()

    async def enter(self, key: TurnKey, run: RunView) -> Sequence[RunView]:
        self._check(key)  # again: the run may have waited for its slot
        earlier = self.add(key, run)
        if self._policy == "interrupt":
            for each in earlier:  # they entered while this one waited for its slot
                await each.stop("cancelled")
        return earlier

    def add(self, key: TurnKey, run: RunView) -> Sequence[RunView]:
        """Add a run without checking the policy. Returns the live ones before it."""
        earlier = tuple(self._live.get(key, ()))
        self._live.setdefault(key, []).append(run)
        return earlier

    def leave(self, key: TurnKey, run: RunView) -> None:
        self._live[key].remove(run)
        if not self._live[key]:
            del self._live[key]

    def _check(self, key: TurnKey) -> None:
        live = self._live.get(key, ())
        if self._policy == "reject" and live:
            raise busy_conversation(self._policy)
        if self._policy == "queue" and len(live) > MAX_QUEUED:
            raise busy_conversation(self._policy)


def busy_conversation(policy: ConcurrentTurns) -> Conflict:
    """Why a question is refused."""
    if policy == "reject":
        return Conflict(
            "the last question of this conversation is still being answered; wait for the answer, or stop it"
        )
    return Conflict(f"{MAX_QUEUED} questions of this conversation are waiting already; wait for an answer")
