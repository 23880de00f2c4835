"""The composition root: what a server opens, and which part is given to which.

`compose` makes the app of one server. `open_generations` opens what one configuration needs (model clients, databases,
teams, the router) and the next ones at each reload: the new generation is opened completely, then replaces the old one
in one step. The old one is closed when the last request and the last run that began with it have ended. Conversations,
files and the runs themselves are shared by all generations.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import structlog
from aiohttp import web

from aiostream_server.config.model import ConcurrentTurns, Config, LimitsConfig
from aiostream_server.config.problem_text import redis_problem
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.log.memory import MemoryLog
from aiostream_server.models.registry import open_models
from aiostream_server.observe.observer import NO_OBSERVER, Observer
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router
from aiostream_server.runs.admission import MemoryAdmission
from aiostream_server.runs.archive import Archive
from aiostream_server.runs.directory import MemoryDirectory
from aiostream_server.runs.registry import Registry, RunBackend
from aiostream_server.runs.request import RunResources
from aiostream_server.runs.starts import MemoryStarts
from aiostream_server.runs.turns import MemoryTurns
from aiostream_server.store.conversations import Conversations, open_conversations
from aiostream_server.store.database import ConversationsUnavailable
from aiostream_server.store.files import Files, open_files
from aiostream_server.teams.catalogue import Catalogue, load_catalogue
from aiostream_server.teams.databases import open_databases
from aiostream_server.teams.served import NOTHING, EmbeddedTeams
from aiostream_server.teams.tools.toolbox import open_tools
from aiostream_server.tools.chart.painter import Painter, open_painter
from aiostream_server.tools.sql.database import Database
from aiostream_server.web.app import create_app
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.health import SHARED_RUNS, SharedStatus
from aiostream_server.web.state import CurrentState, ServerState

_EXPIRY_INTERVAL_S: Final = 3600.0

_log = structlog.get_logger()
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


class Generations:
    """Opened by `open_generations`. `current` is what new requests are answered with."""

    def __init__(
        self,
        current: CurrentState,
        stack: AsyncExitStack,
        shared: SharedStores,
        observer: Observer,
        embedded: EmbeddedTeams,
        shared_runs: SharedStatus | None = None,
    ) -> None:
        self.current: Final = current
        self.shared_runs: Final = shared_runs
        self._stack = stack
        self._shared: Final = shared
        self._observer: Final = observer
        self._embedded: Final = embedded
        self._retired: Final[dict[asyncio.Task[None], AsyncExitStack]] = {}

    @property
    def conversations(self) -> Conversations:
        return self._shared.conversations

    @property
    def retired(self) -> int:
        """How many old generations are still open."""
        return len(self._retired)

    async def renew(self, config: Config, keys: KeyRing, state_directory: Path) -> None:
        """Open what `config` says, then serve it, without blocking the event loop.

        Raises `ConfigError`; then nothing has changed. `[conversations]` url and expiry stay what they are.
        """
        before = self.current.state
        async with AsyncExitStack() as opening:
            opened = _open_generation(
                config, self._shared, state_directory, self._observer, self._embedded, asyncio.to_thread
            )
            resources, desk = await opening.enter_async_context(opened)
            stack = opening.pop_all()
        self.current.state = replace(
            before, config=config, keys=keys, catalogue=resources.catalogue, auxiliary=desk, resources=resources
        )
        before.registry.renew(resources)
        self._shared.files.limit(config.files)
        self._retire(before, self._stack)
        self._stack = stack

    async def close(self) -> None:
        """Close all generations. No run may be live."""
        for retiring in tuple(self._retired):
            retiring.cancel()
        for stack in (*self._retired.values(), self._stack):
            await stack.aclose()

    def _retire(self, state: ServerState, stack: AsyncExitStack) -> None:
        retiring = asyncio.create_task(_close_unused(state, stack), name="retiring")
        self._retired[retiring] = stack
        retiring.add_done_callback(self._retired.pop)


GENERATIONS: Final[web.AppKey[Generations]] = web.AppKey("generations", Generations)


def compose(
    config: Config, *, state_directory: Path, observer: Observer = NO_OBSERVER, embedded: EmbeddedTeams = NOTHING
) -> web.Application:
    """The app of one server. It opens everything when it starts, and raises `ConfigError` then for what cannot be."""

    @asynccontextmanager
    async def open_state(app: web.Application) -> AsyncIterator[CurrentState]:
        async with open_generations(config, state_directory, observer, embedded) as generations:
            app[GENERATIONS] = generations
            if generations.shared_runs is not None:
                app[SHARED_RUNS] = generations.shared_runs
            yield generations.current

    return create_app(config, open_state, observer=observer)


def memory_backend(limits: LimitsConfig, turns: ConcurrentTurns) -> RunBackend:
    """Runs that live in this process alone."""
    starts = MemoryStarts()
    return RunBackend(
        directory=MemoryDirectory(limits, on_drop=starts.forget),
        admission=MemoryAdmission(limits),
        turns=MemoryTurns(turns),
        starts=starts,
        new_log=MemoryLog,
    )


@asynccontextmanager
async def _open_backend(config: Config) -> AsyncIterator[tuple[SharedStatus | None, RunBackend]]:
    limits, turns = config.limits, config.conversations.concurrent_turns
    if not config.runs.is_shared:
        yield None, memory_backend(limits, turns)
        return
    if problem := redis_problem():
        raise ConfigError([problem])
    from aiostream_server.runs.shared.backend import open_shared_runs

    async with open_shared_runs(config.runs, limits, turns) as opened:
        yield opened


@asynccontextmanager
async def open_generations(
    config: Config, state_directory: Path, observer: Observer = NO_OBSERVER, embedded: EmbeddedTeams = NOTHING
) -> AsyncIterator[Generations]:
    """Open the first generation and what all share; at the end close whatever is open. Raises `ConfigError`.

    The teams and models that are `embedded` belong to every generation.
    """
    async with (
        AsyncExitStack() as stack,
        open_conversations(config.conversations, state_directory) as conversations,
        open_files(config.files, state_directory) as files,
        open_painter(state_directory) as painter,
        _expiring(conversations, files),
        _open_backend(config) as (shared_runs, backend),
    ):
        shared = SharedStores(conversations, files, painter)
        opened = _open_generation(config, shared, state_directory, observer, embedded)
        resources, desk = await stack.enter_async_context(opened)
        keys = KeyRing.load(config.auth.keys_file)
        registry = Registry(resources, backend)
        state = ServerState(config, keys, resources.catalogue, registry, desk, resources)
        generations = Generations(CurrentState(state), stack.pop_all(), shared, observer, embedded, shared_runs)
        del opened, resources, desk, state  # else this frame would keep the first generation alive for ever
        try:
            yield generations
        finally:
            await generations.close()


@asynccontextmanager
async def _open_generation(
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


@asynccontextmanager
async def _expiring(conversations: Conversations, files: Files) -> AsyncIterator[None]:
    """Delete expired conversations and files: at the start, and once an hour."""
    deleting = asyncio.create_task(_delete_for_ever(conversations, files), name="expiry")
    try:
        yield
    finally:
        deleting.cancel()
        await asyncio.wait({deleting})


async def _delete_for_ever(conversations: Conversations, files: Files) -> None:
    while True:
        try:
            if deleted := await conversations.delete_expired():
                _log.info("conversations_expired", conversations=deleted)
        except ConversationsUnavailable as exc:
            _log.warning("conversations_not_expired", error=str(exc))
        try:
            if deleted := await files.delete_expired():
                _log.info("files_expired", files=deleted)
        except OSError as exc:
            _log.warning("files_not_expired", error=exc.strerror)
        await asyncio.sleep(_EXPIRY_INTERVAL_S)


async def _close_unused(state: ServerState, stack: AsyncExitStack) -> None:
    await state.resources.references.until_unused()
    try:
        await stack.aclose()
    except Exception as exc:  # raised by a user's own model client
        log_bug("old_state_not_closed", exc)


def _candidates(catalogue: Catalogue) -> list[Candidate]:
    return [Candidate(spec.id, spec.name, spec.config.description, spec.config.examples) for spec in catalogue]


async def _vocabulary(databases: Mapping[str, Database]) -> Collection[str]:
    """The words of the schemas: a question that uses them is about data."""
    schemas = [await database.schema() for database in databases.values()]
    tables = [table for schema in schemas for table in schema.tables]
    return {name for table in tables for name in (table.name, *(column.name for column in table.columns))}
