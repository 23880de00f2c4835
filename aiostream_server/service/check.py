"""What only shows when a configuration is used: factories that fail, databases that are not there."""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import Models, open_models
from aiostream_server.teams.catalogue import find_factory, for_each_team, load_team
from aiostream_server.teams.databases import open_databases
from aiostream_server.tools.sql.database import Database

_T = TypeVar("_T")


async def find_problems(config: Config, *, state_directory: Path) -> list[str]:
    """Open every model and database, import every factory, build every team once. One line per mistake.

    Teams are not built where a model or a database is missing: what they then raise would be no mistake of theirs.
    """
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        models = await _open(stack, open_models(config.models), problems)
        databases = await _open(stack, open_databases(config, state_directory), problems)
        sound: list[TeamConfig] = []
        try:
            for_each_team(config, lambda team: sound.append(team) if find_factory(team) else None)
        except ConfigError as exc:
            problems += exc.problems
        if models is not None and databases is not None:
            for team in sound:
                problems += await _build(team, models, databases)
    return problems


async def _open(stack: AsyncExitStack, opening: AbstractAsyncContextManager[_T], problems: list[str]) -> _T | None:
    try:
        return await stack.enter_async_context(opening)
    except ConfigError as exc:
        problems += exc.problems
        return None


async def _build(team: TeamConfig, models: Models, databases: Mapping[str, Database]) -> list[str]:
    try:
        await load_team(team, models, databases).build()
    except Exception as exc:  # whatever somebody's factory raises is what is looked for
        reason = " ".join(f"{type(exc).__name__}: {exc}".split())
        return [f"[[teams]] {team.id}: the team cannot be built: {reason}"]
    return []
