"""A generation: what one configuration opens, which is model clients, databases, tools, teams and the router."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

from aiostream_server.config.model import Config
from aiostream_server.models.registry import open_models
from aiostream_server.observe.observer import Observer
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router
from aiostream_server.runs.archive import Archive
from aiostream_server.runs.request import RunResources
from aiostream_server.store.conversations import Conversations
from aiostream_server.store.files import Files
from aiostream_server.teams.catalogue import Catalogue, load_catalogue
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.served import EmbeddedTeams
from aiostream_server.teams.tools.toolbox import open_tools
from aiostream_server.tools.chart.painter import Painter
from aiostream_server.tools.sql.database import Database

_Result = TypeVar("_Result")


class Offload(Protocol):
    """Runs work that takes long, reads files or imports modules: `asyncio.to_thread` while a server is serving."""

    def __call__(self, work: Callable[..., _Result], /, *arguments: Any) -> Awaitable[_Result]: ...


async def inline(work: Callable[..., _Result], /, *arguments: Any) -> _Result:
    """The `Offload` of a starting server: some libraries must be imported in the main thread."""
    return work(*arguments)


class SharedStores(NamedTuple):
    """Opened once, for all generations."""

    conversations: Conversations
    files: Files
    painter: Painter


@asynccontextmanager
async def open_generation(
    config: Config,
    shared: SharedStores,
    state_directory: Path,
    observer: Observer,
    embedded: EmbeddedTeams,
    offload: Offload = inline,
) -> AsyncIterator[tuple[RunResources, AuxiliaryDesk]]:
    in_threads = offload is not inline
    async with (
        open_models(
            config.models,
            observer=observer,
            in_threads=in_threads,
            for_components=any(team.component for team in config.teams),
            embedded=embedded.models,
        ) as models,
        open_databases(config, state_directory) as databases,
        open_tools(config, databases, state_directory, is_serving=True, in_threads=in_threads) as toolbox,
    ):
        catalogue = await offload(load_catalogue, config, models, databases, embedded.teams, toolbox)
        client = None if config.routing.strategy == "rules" else models.client(config.routing.model)
        small = None if config.auxiliary.model is None else models.client(config.auxiliary.model)
        resources = RunResources(
            catalogue,
            Router(_candidates(catalogue), config.routing, client, await _vocabulary(databases)),
            config.limits,
            Archive(shared.conversations, config.conversations.max_state_bytes),
            config.conversations.concurrent_turns,
            observer,
            shared.files,
            shared.painter,
            config.server.failure_memory_s,
        )
        yield resources, AuxiliaryDesk(config.auxiliary, small)


def _candidates(catalogue: Catalogue) -> list[Candidate]:
    return [Candidate(spec.id, spec.name, spec.config.description, spec.config.examples) for spec in catalogue]


async def _vocabulary(databases: Mapping[str, Database]) -> Collection[str]:
    """The words of the schemas: a question that uses them is about data."""
    schemas = [await database.schema() for database in databases.values()]
    tables = [table for schema in schemas for table in schema.tables]
    return {name for table in tables for name in (table.name, *(column.name for column in table.columns))}
