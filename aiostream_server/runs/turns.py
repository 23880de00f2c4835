"""One question at a time in each conversation: what becomes of a second one that comes while the first is answered."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from aiostream_server.config.model import ConcurrentTurns
from aiostream_server.errors import Conflict
from aiostream_server.intake.principal import Owner
from aiostream_server.runs.run import Run, RunRequest


class _Talk(NamedTuple):
    owner: Owner
    conversation: str


class Turns:
    """The live runs of each conversation. Runs without a conversation are no concern of it."""

    def __init__(self, policy: ConcurrentTurns) -> None:
        self._policy: Final = policy
        self._live: dict[_Talk, list[Run]] = {}

    def __len__(self) -> int:
        return len(self._live)

    def check(self, request: RunRequest) -> None:
        """Raise `Conflict` where the conversation is busy and the question may not wait."""
        if self._policy == "reject" and any(self._before(request)):
            raise Conflict("the conversation's last question is still being answered; wait for it, or cancel it")

    def enter(self, run: Run) -> Sequence[Run]:
        """The run is about to start: those whose end it has to wait for. Where they are interrupted, they end now."""
        talk = _talk(run.request)
        if talk is None:
            return ()
        before = tuple(self._before(run.request))
        self._live.setdefault(talk, []).append(run)
        if self._policy == "interrupt":
            for earlier in before:
                earlier.stop("cancelled")
        return before

    def leave(self, run: Run) -> None:
        talk = _talk(run.request)
        if talk is None:
            return
        self._live[talk].remove(run)
        if not self._live[talk]:
            del self._live[talk]

    def _before(self, request: RunRequest) -> Iterator[Run]:
        talk = _talk(request)
        return iter(()) if talk is None else iter(self._live.get(talk, ()))


def _talk(request: RunRequest) -> _Talk | None:
    return None if request.conversation is None else _Talk(request.owner, request.conversation.name)
