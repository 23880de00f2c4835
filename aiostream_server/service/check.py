"""What only shows when a configuration is used: factories that fail, databases that are not there."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path
from typing import TypeVar

from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.teams.catalogue import TeamSpec, check_factories, load_catalogue
from aiostream_server.teams.databases import open_databases

_T = TypeVar("_T")


async def find_problems(config: Config, *, state_directory: Path) -> list[str]:
    """Open every model and database, import every factory, build every team once. One line per mistake."""
    problems: list[str] = []
    async with AsyncExitStack() as stack:
        models = await _open(stack, open_models(config.models), problems)
        databases = await _open(stack, open_databases(config, state_directory), problems)
        try:
            check_factories(config)
        except ConfigError as exc:
            return [*problems, *exc.problems]
        if models is not None and databases is not None:
            for spec in load_catalogue(config, models, databases):
                problems += await _build(spec)
    return problems


async def _open(stack: AsyncExitStack, opening: AbstractAsyncContextManager[_T], problems: list[str]) -> _T | None:
    try:
        return await stack.enter_async_context(opening)
    except ConfigError as exc:
        problems += exc.problems
        return None


async def _build(spec: TeamSpec) -> list[str]:
    try:
        await spec.build()
    except Exception as exc:  # whatever somebody's factory raises is what is looked for
        return [f"[[teams]] {spec.id}: the team cannot be built: {type(exc).__name__}: {exc}"]
    return []
