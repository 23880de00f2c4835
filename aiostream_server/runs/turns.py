"""One question at a time in each conversation: what becomes of a second one that comes while the first is answered."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from aiostream_server.config.model import ConcurrentTurns
from aiostream_server.errors import Conflict
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.run import Run, RunRequest

_MOST_WAITING: Final = 3


class _Talk(NamedTuple):
    """`model`: a chat page may ask several side by side. Where the server knows the history, there is one line."""

    owner: Owner
    conversation: str
    model: str


class Turns:
    """The live runs of each conversation. Runs without a conversation are no concern of it."""

    def __init__(self, policy: ConcurrentTurns) -> None:
        self.policy = policy
        self._live: dict[_Talk, list[Run]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def check(self, request: RunRequest) -> None:
        """Raise `Conflict` where the conversation is busy and the question may not wait."""
        before = self._before(request)
        if self.policy == "reject" and before:
            raise Conflict("the conversation's last question is still being answered; wait for it, or cancel it")
        if self.policy == "queue" and len(before) > _MOST_WAITING:
            raise Conflict(f"{_MOST_WAITING} questions of the conversation are waiting already")

    async def interrupt(self, request: RunRequest) -> None:
        """Where that is the policy, end the runs before this one: their slots are free then."""
        if self.policy == "interrupt":
            for run in self._before(request):
                run.stop("cancelled")
                await run.wait()

    def enter(self, run: Run) -> Sequence[Run]:
        """The run is about to start: those whose end it has to wait for."""
        before, talk = self._before(run.request), _talk(run.request)
        if talk is not None:
            self._live.setdefault(talk, []).append(run)
        if self.policy == "interrupt":
            for earlier in before:  # that came while this one waited for its slot
                earlier.stop("cancelled")
        return before

    def leave(self, run: Run) -> None:
        talk = _talk(run.request)
        if talk is None:
            return
        self._live[talk].remove(run)
        if not self._live[talk]:
            del self._live[talk]

    def _before(self, request: RunRequest) -> Sequence[Run]:
        talk = _talk(request)
        return () if talk is None else tuple(self._live.get(talk, ()))


def _talk(request: RunRequest) -> _Talk | None:
    talk = request.conversation
    return None if talk is None else _Talk(request.owner, talk.name, request.model if talk.resends else "")
