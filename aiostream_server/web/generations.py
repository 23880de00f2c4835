"""What is open for one configuration, and for the next one: model clients, databases, teams, the router.

The new is opened whole before it takes the place of the old, in one step. The old stays open until the last request and
the last run that began with it have ended. Conversations, files and the runs themselves belong to all of them.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.intake.keys import KeyRing
from aiostream_server.models.registry import open_models
from aiostream_server.observe.observer import NOBODY, Observer
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router
from aiostream_server.runs.conversation_memory import Archive
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.run import RunParts
from aiostream_server.store.conversations import Conversations, open_conversations
from aiostream_server.store.files import Files, open_files
from aiostream_server.teams.catalogue import Catalogue, load_catalogue
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.served import NOTHING, EmbeddedTeams
from aiostream_server.teams.tools.toolbox import open_tools
from aiostream_server.tools.chart.painter import Painter, open_painter
from aiostream_server.tools.sql.database import Database
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.expiry import expiring
from aiostream_server.web.state import Current, ServerState

_Result = TypeVar("_Result")


class Aside(Protocol):
    """Does what takes long and may read files and import: as `asyncio.to_thread` in a server that is serving."""

    def __call__(self, work: Callable[..., _Result], /, *arguments: Any) -> Awaitable[_Result]: ...


async def here(work: Callable[..., _Result], /, *arguments: Any) -> _Result:
    """Where it is: some libraries want to be imported in the main thread."""
    return work(*arguments)


class Shared(NamedTuple):
    """What belongs to all of them."""

    conversations: Conversations
    files: Files
    painter: Painter


class Generations:
    """Opened by `open_generations`. `current` is what new requests are answered by."""

    def __init__(
        self,
        current: Current,
        stack: AsyncExitStack,
        shared: Shared,
        observer: Observer,
        brought: EmbeddedTeams = NOTHING,
    ) -> None:
        self.current: Final = current
        self._stack = stack
        self._shared: Final = shared
        self._observer: Final = observer
        self._brought: Final = brought
        self._retired: Final[dict[asyncio.Task[None], AsyncExitStack]] = {}

    @property
    def retired(self) -> int:
        """How many are still open for what began with them."""
        return len(self._retired)

    async def renew(self, config: Config, keys: KeyRing, state_directory: Path) -> None:
        """Open what `config` says, then serve it. Raises `ConfigError`, and nothing has changed.

        Not for `[conversations]` url and expiry: those stay what they are. Nothing of it holds up the event loop.
        """
        before = self.current.state
        async with AsyncExitStack() as opening:
            opened = _open_parts(
                config,
                self._shared,
                state_directory,
                self._observer,
                asyncio.to_thread,
                self._brought,
            )
            parts, desk = await opening.enter_async_context(opened)
            stack = opening.pop_all()
        self.current.state = replace(
            before, config=config, keys=keys, catalogue=parts.catalogue, auxiliary=desk, parts=parts
        )
        before.registry.renew(parts)
        self._shared.files.limit(config.files)
        self._retire(before, self._stack)
        self._stack = stack

    async def close(self) -> None:
        """All of them. No run may be left."""
        for retiring in tuple(self._retired):
            retiring.cancel()
        for stack in (*self._retired.values(), self._stack):
            await stack.aclose()

    def _retire(self, state: ServerState, stack: AsyncExitStack) -> None:
        retiring = asyncio.create_task(_close_unused(state, stack), name="retiring")
        self._retired[retiring] = stack
        retiring.add_done_callback(self._retired.pop)


GENERATIONS: Final[web.AppKey[Generations]] = web.AppKey("generations", Generations)


async def _close_unused(state: ServerState, stack: AsyncExitStack) -> None:
    await state.parts.holders.until_none()
    try:
        await stack.aclose()
    except Exception as exc:  # somebody's model client
        log_bug("old_state_not_closed", exc)


@asynccontextmanager
async def open_generations(
    config: Config, state_directory: Path, observer: Observer = NOBODY, brought: EmbeddedTeams = NOTHING
) -> AsyncIterator[Generations]:
    """The first generation, what all of them share, and at the end all that is open. Raises `ConfigError`.

    What is `brought` along belongs to every generation.
    """
    async with (
        AsyncExitStack() as stack,
        open_conversations(config.conversations, state_directory) as conversations,
        open_files(config.files, state_directory) as files,
        open_painter(state_directory) as painter,
        expiring(conversations, files),
    ):
        shared = Shared(conversations, files, painter)
        opened = _open_parts(config, shared, state_directory, observer, brought=brought)
        parts, desk = await stack.enter_async_context(opened)
        keys = KeyRing.load(config.auth.keys_file)
        state = ServerState(config, keys, parts.catalogue, Registry(parts), desk, parts)
        generations = Generations(Current(state), stack.pop_all(), shared, observer, brought)
        del opened, parts, desk, state  # the first one goes when it is not used any more, as the others do
        try:
            yield generations
        finally:
            await generations.close()


@asynccontextmanager
async def _open_parts(
    config: Config,
    shared: Shared,
    state_directory: Path,
    observer: Observer,
    aside: Aside = here,
    brought: EmbeddedTeams = NOTHING,
) -> AsyncIterator[tuple[RunParts, AuxiliaryDesk]]:
    """In the order in which they need each other."""
    async with (
        open_models(
            config.models,
            observer=observer,
            in_threads=aside is not here,
            for_components=any(team.component for team in config.teams),
            brought=brought.models,
        ) as models,
        open_databases(config, state_directory) as found,
        open_tools(config, found, state_directory, is_serving=True, in_threads=aside is not here) as toolbox,
    ):
        catalogue = await aside(load_catalogue, config, models, found, brought.teams, toolbox)
        client = None if config.routing.strategy == "rules" else models.client(config.routing.model)
        router = Router(_candidates(catalogue), config.routing, client, await _vocabulary(found))
        archive = Archive(shared.conversations, config.conversations.max_state_bytes)
        turns = config.conversations.concurrent_turns
        small = None if config.auxiliary.model is None else models.client(config.auxiliary.model)
        parts = RunParts(catalogue, router, config.limits, archive, turns, observer, shared.files, shared.painter)
        yield parts, AuxiliaryDesk(config.auxiliary, small)


def _candidates(catalogue: Catalogue) -> list[Candidate]:
    return [Candidate(spec.id, spec.name, spec.config.description, spec.config.examples) for spec in catalogue]


async def _vocabulary(databases: Mapping[str, Database]) -> Collection[str]:
    """The words of the schemas: a question that uses them is about data."""
    schemas = [await database.schema() for database in databases.values()]
    tables = [table for schema in schemas for table in schema.tables]
    return {name for table in tables for name in (table.name, *(column.name for column in table.columns))}
