"""What is asked of a run, and what the runs of one configuration are made of."""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig, OnDisconnect
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import LOCAL_OWNER, Owner
from aiostream_server.intake.question import Question
from aiostream_server.observe.observer import NO_OBSERVER, Observer
from aiostream_server.routing.router import Router
from aiostream_server.runs.archive import Archive
from aiostream_server.runs.step_queue import StepQueue
from aiostream_server.store.files import Files
from aiostream_server.teams.catalogue import Catalogue, TeamSpec
from aiostream_server.tools.chart.painter import Painter


class TurnKey(NamedTuple):
    """Runs with the same key answer one conversation and take turns.

    `model` is empty where the server keeps the history: then there is one line of turns. A chat page that resends the
    history may ask several models at once.
    """

    owner: Owner
    conversation: str
    model: str


class RunRequest(msgspec.Struct, frozen=True):
    """A question, and how to treat its run.

    `spec` is the team that the client named. Without one the router chooses among the `allowed` teams (None: all).
    `on_disconnect` is the client's choice; without one the team's applies, and without that `by_default`. `link_base`
    is the beginning of links to the server; without it the run keeps no files. `fingerprint` is that of the whole
    request; empty where a failure is not to be remembered. `protocol` and `kept` are those of the run's card.
    `run_id` is its id: None for a new one.
    `withdraws`: there is nothing to answer; the run takes back the question that the conversation's team has asked the
    user until this Unix time, and ends as cancelled. It needs no slot and no turn.
    `tells_waiting`: the run starts in the queue for a slot, so that its viewer can be told its place there; without it,
    it starts with its slot.
    """

    question: Question
    model: str
    spec: TeamSpec | None = None
    allowed: Collection[str] | None = None
    owner: Owner = LOCAL_OWNER
    on_disconnect: OnDisconnect | None = None
    by_default: OnDisconnect = "cancel"
    conversation: Conversation | None = None
    link_base: str = ""
    fingerprint: str = ""
    protocol: str = ""
    kept: bytes = b""
    run_id: str | None = None
    replies_to: str | None = None
    tells_waiting: bool = False
    withdraws: float | None = None

    @property
    def turn_key(self) -> TurnKey | None:
        """None for a question without a conversation."""
        talk = self.conversation
        if talk is None or self.withdraws is not None:
            return None
        return TurnKey(self.owner, talk.name, self.model if talk.resends else "")


class ReferenceCount:
    """How many requests and runs use what was opened together: at 0 it may be closed. For one event loop.

    `with references:` counts one more inside of the block.
    """

    def __init__(self) -> None:
        self._count = 0
        self._unused = asyncio.Event()
        self._unused.set()

    def acquire(self) -> None:
        """`release` has to follow."""
        self._count += 1
        self._unused.clear()

    def release(self) -> None:
        self._count -= 1
        if not self._count:
            self._unused.set()

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    async def until_unused(self) -> None:
        await self._unused.wait()


@dataclass(frozen=True, slots=True)
class RunResources:
    """Shared by every run of one configuration. A reload makes the next; runs go on with the one they started with."""

    catalogue: Catalogue
    router: Router
    limits: LimitsConfig
    archive: Archive | None = None
    concurrent_turns: ConcurrentTurns = "queue"
    observer: Observer = NO_OBSERVER
    files: Files | None = None
    painter: Painter | None = None
    failure_memory_s: float = 0.0
    steps: StepQueue = field(default_factory=StepQueue)
    references: ReferenceCount = field(default_factory=ReferenceCount)
    """Runs, and requests about to start one: all of this stays open for them."""
