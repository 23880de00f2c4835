"""What only shows when a configuration is used: factories that fail, databases that are not there."""

from collections.abc import AsyncIterator
from pathlib import Path

from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.models.registry import open_models
from aiostream_server.teams.catalogue import load_catalogue
from aiostream_server.teams.databases import open_databases


async def find_problems(config: Config, *, state_directory: Path) -> list[str]:
    """Open every database, import every factory and build every team once. One line per mistake."""
    return [problem async for problem in _problems(config, state_directory)]


async def _problems(config: Config, state_directory: Path) -> AsyncIterator[str]:
    async with open_models(config.models) as models, open_databases(config, state_directory) as databases:
        try:
            catalogue = load_catalogue(config, models, databases)
        except ConfigError as exc:
            for problem in exc.problems:
                yield problem
            return
        for spec in catalogue:
            try:
                await spec.build()
            except Exception as exc:  # whatever somebody's factory raises is what is looked for
                yield f"[[teams]] {spec.id}: the team cannot be built: {type(exc).__name__}: {exc}"
