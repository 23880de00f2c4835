"""The built-in teams with a scripted model, over a real SQLite database."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiostream_server.config.model import DatabaseConfig, TeamConfig
from aiostream_server.events import Event
from aiostream_server.intake.question import Question, Turn
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.request import RunRequest
from aiostream_server.service.composition import open_generations
from tests.kit.scripted_provider import ScriptedProvider
from tests.kit.serving import config_for
from tests.runs.running import events_of


@dataclass(slots=True)
class Asked:
    """`told` is the run's log; `sent` has the body of each request to the provider."""

    told: Sequence[Event] = ()
    sent: Sequence[Mapping[str, Any]] = ()
    registry: Registry | None = field(default=None)

    def types(self) -> list[str]:
        """The types of the events, without tokens and costs."""
        return [event.type for event in self.told if event.type not in ("token", "usage")]


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
