"""What only shows when a configuration is used: factories that fail, databases that are not there.

Teams are built in the event loop, as they are for every run; what takes long is done where `aside` does it.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models, open_models
from aiostream_server.service.tracing import Traces
from aiostream_server.teams.catalogue import check_source, for_each_team, load_team
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.factories import at, blamed_in, cannot_be_asked, place_of
from aiostream_server.teams.served import ServedTeam
from aiostream_server.teams.tools.toolbox import Toolbox, open_tools
from aiostream_server.tools.sql.database import Database
from aiostream_server.web.generations import Aside, here

_T = TypeVar("_T")


async def find_problems(
    config: Config, *, state_directory: Path, aside: Aside = here, uses_tools: bool = False
) -> list[str]:
    """Open every model and database, import every factory, build every team once. One line per mistake.

    `uses_tools`: those that are out of reach are mistakes, too. A server goes on without them.
    Teams are not built where a model or a database is missing: what they then raise would be no mistake of theirs.
    """
    problems: list[str] = []
    try:
        Traces.of(config.tracing)
    except ConfigError as exc:
        problems += exc.problems
    async with AsyncExitStack() as stack:
        models = await _open(stack, _models_of(config, aside), problems)
        databases = await _open(stack, open_databases(config, state_directory), problems)
        sound: list[ServedTeam] = []

        def look_at(team: ServedTeam) -> None:
            check_source(team)
            sound.append(team)

        try:
            await aside(for_each_team, config, look_at)
        except ConfigError as exc:
            problems += exc.problems
        if models is not None and databases is not None:
            in_threads = aside is not here
            wrong: list[str] = []
            opening = open_tools(config, databases, state_directory, in_threads=in_threads, problems=wrong)
            toolbox = await stack.enter_async_context(opening)
            for team in sound if not wrong else ():
                problems += await _build(team, models, databases, toolbox, aside)
            problems += [*wrong, *(await toolbox.problems() if uses_tools else ())]
    return problems


def _models_of(config: Config, aside: Aside) -> AbstractAsyncContextManager[Models]:
    brought = any(team.component for team in config.teams)
    return open_models(config.models, in_threads=aside is not here, for_components=brought)


async def _open(stack: AsyncExitStack, opening: AbstractAsyncContextManager[_T], problems: list[str]) -> _T | None:
    try:
        return await stack.enter_async_context(opening)
    except ConfigError as exc:
        problems += exc.problems
        return None


async def _build(
    team: ServedTeam, models: Models, databases: Mapping[str, Database], toolbox: Toolbox, aside: Aside
) -> list[str]:
    try:
        spec = await aside(load_team, team, models, databases, toolbox)
    except ConfigError as exc:
        return [f"{team.where} {problem}" for problem in exc.problems]
    if team.config.component is not None:  # one was built when it was loaded
        return []
    scope = spec.toolbox.scope()
    try:
        built = await spec.build(scope)
    except Exception as exc:  # whatever somebody's factory raises is what is looked for
        return [f"{team.where} the team cannot be built: {blamed_in(spec.factory, exc)}"]
    finally:
        await scope.close()
    if problem := cannot_be_asked(built):
        return [f"{team.where} {problem}{at(place_of(spec.factory))}"]
    return []
