"""Runs of teams that a test makes up, without a server around them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiostream_server.config.model import ConcurrentTurns, LimitsConfig, RoutingConfig, TeamConfig
from aiostream_server.events import Event
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import LOCAL_OWNER, Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.log.protocol import Log
from aiostream_server.log.redis.reserved import ReservedLog
from aiostream_server.models.registry import Models
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router
from aiostream_server.runs.archive import Archive
from aiostream_server.runs.card import RunView
from aiostream_server.runs.registry import Registry, RunBackend
from aiostream_server.runs.request import RunRequest, RunResources
from aiostream_server.runs.run import EarlierAttempts, Run
from aiostream_server.runs.starts import Idempotency
from aiostream_server.service.composition import memory_backend
from aiostream_server.teams.catalogue import Catalogue, TeamSpec
from aiostream_server.teams.context import TeamContext


@dataclass(frozen=True, slots=True)
class Runs:
    registry: Registry
    resources: RunResources
    spec: TeamSpec

    def request(self, text: str = "hi", **asked: Any) -> RunRequest:
        return RunRequest(Question(Turn("user", text), **asked), model="auto", spec=self.spec)

    async def start(self, text: str = "hi", **asked: Any) -> Run:
        return await self.registry.start(self.request(text, **asked))

    async def start_with_key(self, key: Idempotency, request: RunRequest | None = None) -> RunView:
        """Find the run that the key has started, or start one."""
        asked = request or self.request()
        return (await self.registry.find_or_start(asked, key, self.resources)).run

    async def start_routed(self, text: str) -> Run:
        return await self.registry.start(RunRequest(Question(Turn("user", text)), model="auto"))


def runs_of(
    make: Callable[[], object],
    *,
    config: dict[str, Any] | None = None,
    archive: Archive | None = None,
    concurrent_turns: ConcurrentTurns = "queue",
    backend: RunBackend | None = None,
    **limits: Any,
) -> Runs:
    """`make` is called for every run and returns a team, or something that is none."""
    team = TeamConfig(**({"id": "team", "factory": "m:f"} | (config or {})))
    spec = TeamSpec(team, TeamContext(team, Models({}), {}), lambda _: make(), sees_images=False)
    router = Router([Candidate("team", "Team", "", ())], RoutingConfig(), None, ())
    resources = RunResources(Catalogue([spec]), router, LimitsConfig(**limits), archive, concurrent_turns)
    backend = backend or memory_backend(resources.limits, resources.concurrent_turns)
    return Runs(Registry(resources, backend), resources, spec)


def events_of(run: Run) -> Sequence[Event]:
    return [entry.event for entry in run.log.since(0)]


def new_run(
    run_id: str,
    owner: Owner = LOCAL_OWNER,
    conversation: str | None = None,
    *,
    log: Log | None = None,
    earlier: EarlierAttempts | None = None,
    restart: bool = False,
) -> Run:
    """A run that was not started. `restart`: of the team "again"."""
    runs = runs_of(lambda: None)
    asked = runs.request()
    talk = None if conversation is None else Conversation(conversation, resends=False)
    request = RunRequest(
        asked.question, asked.model, owner=owner, conversation=talk, on_disconnect="continue" if restart else None
    )
    run = Run(run_id, request, runs.resources, log or ReservedLog(run_id), earlier)
    if restart:
        (spec,) = runs.resources.catalogue
        run.spec = replace(spec, config=spec.config.model_copy(update={"id": "again", "restart": "turn"}))
    return run
