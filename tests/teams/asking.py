"""The built-in teams with a scripted model, over a real SQLite database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from aiostream_server.config.model import DatabaseConfig, TeamConfig
from aiostream_server.events import Event
from aiostream_server.intake.principal import LOCAL_OWNER, Owner
from aiostream_server.intake.question import Question, Turn
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.request import RunRequest
from aiostream_server.service.composition import open_generations
from tests.kit.runs import runs_in
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, ask, config_for
from tests.runs.running import events_of

USER: Final = Owner(None, "u1")


@dataclass(slots=True)
class Stage:
    """A server with teams over a scripted model; `question` is what `ask` asks."""

    server: Server
    provider: ScriptedProvider
    question: str

    async def ask(self, *answers: ScriptedAnswer, model: str = "data", headers: Mapping[str, str] | None = None) -> str:
        self.provider.script(*answers)
        return (await ask(self.server.url, self.question, model=model, headers=headers)).text

    def told(self) -> list[Event]:
        """The events of the last run."""
        registry = self.server.state.registry
        run = max((*runs_in(registry, LOCAL_OWNER), *runs_in(registry, USER)), key=lambda run: run.created_at)
        return [entry.event for entry in run.log.since(0)]

    def tools_offered(self) -> list[list[str]]:
        return [[t["function"]["name"] for t in sent.body.get("tools", ())] for sent in self.provider.exchanges]


@dataclass(slots=True)
class Asked:
    """`told` is the run's log; `sent` has the body of each request to the provider."""

    told: Sequence[Event] = ()
    sent: Sequence[Mapping[str, Any]] = ()
    registry: Registry | None = field(default=None)

    def types(self) -> list[str]:
        """The types of the events, without tokens, those of calls, and calls of models."""
        left_out = ("token", "action_token", "model_called", "usage")
        return [event.type for event in self.told if event.type not in left_out]


async def ask_data_team(
    provider: ScriptedProvider,
    directory: Path,
    *,
    databases: Mapping[str, DatabaseConfig] | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Asked:
    team = TeamConfig(
        id="data",
        factory="aiostream_server.teams.data:build",
        roles={"SQLAgent": "thinking", "ValidationAgent": "validation"},
        answer_from=("AnalysisAgent",),
        settings=dict(settings or {}),
    )
    config = config_for(provider.base_url, team, database=dict(databases or {}))
    async with open_generations(config, directory) as generations:
        state = generations.current.state
        question = Question(Turn("user", "Which region sold most?"))
        run = await state.registry.start(RunRequest(question, "data", state.catalogue["data"]))
        await run.wait()
    return Asked(events_of(run), [exchange.body for exchange in provider.exchanges])


@asynccontextmanager
async def provided() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider
