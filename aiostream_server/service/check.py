"""What only shows when a configuration is used: factories that fail, databases that are not there.

Teams are built in the event loop, as they are for every run; what takes long is done where `aside` does it.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models, open_models
from aiostream_server.service.tracing import Traces
from aiostream_server.teams.catalogue import find_factory, for_each_team, load_team
from aiostream_server.teams.databases import open_databases
from aiostream_server.tools.sql.database import Database
from aiostream_server.web.generations import Aside, here

_T = TypeVar("_T")


async def find_problems(config: Config, *, state_directory: Path, aside: Aside = here) -> list[str]:
    """Open every model and database, import every factory, build every team once. One line per mistake.

    Teams are not built where a model or a database is missing: what they then raise would be no mistake of theirs.
    """
    problems: list[str] = []
    try:
        Traces.of(config.tracing)
    except ConfigError as exc:
        problems += exc.problems
    async with AsyncExitStack() as stack:
        models = await _open(stack, open_models(config.models, in_threads=aside is not here), problems)
        databases = await _open(stack, open_databases(config, state_directory), problems)
        sound: list[TeamConfig] = []
        try:
            await aside(for_each_team, config, lambda team: sound.append(team) if find_factory(team) else None)
        except ConfigError as exc:
            problems += exc.problems
        if models is not None and databases is not None:
            for team in sound:
                problems += await _build(team, models, databases, aside)
    return problems


async def _open(stack: AsyncExitStack, opening: AbstractAsyncContextManager[_T], problems: list[str]) -> _T | None:
    try:
        return await stack.enter_async_context(opening)
    except ConfigError as exc:
        problems += exc.problems
        return None


async def _build(team: TeamConfig, models: Models, databases: Mapping[str, Database], aside: Aside) -> list[str]:
    try:
        spec = await aside(load_team, team, models, databases)
        if team.component is None:  # else one was built when it was loaded
            await spec.build()
    except Exception as exc:  # whatever somebody's factory raises is what is looked for
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())
        return [f"[[teams]] {team.id}: the team cannot be built: {reason}"]
    return []
