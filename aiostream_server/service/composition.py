"""The composition root: what a server opens, and which part is given to which.

`compose` makes the app of one server. `open_generations` opens what one configuration needs (model clients, databases,
teams, the router) and the next ones at each reload: the new generation is opened completely, then replaces the old one
in one step. The old one is closed when the last request and the last run that began with it have ended. Conversations,
files and the runs themselves are shared by all generations.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from aiohttp import web

from aiostream_server.config.model import ConcurrentTurns, Config, LimitsConfig
from aiostream_server.config.problem_text import redis_problem
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.log.memory import MemoryLog
from aiostream_server.observe.observer import NO_OBSERVER, Observer
from aiostream_server.runs.admission import MemoryAdmission
from aiostream_server.runs.directory import MemoryDirectory
from aiostream_server.runs.registry import Registry, RunBackend
from aiostream_server.runs.starts import MemoryStarts
from aiostream_server.runs.turns import MemoryTurns
from aiostream_server.service.expiry import expiring
from aiostream_server.service.generation import SharedStores, open_generation
from aiostream_server.store.conversations import Conversations, open_conversations
from aiostream_server.store.files import open_files
from aiostream_server.teams.served import NOTHING, EmbeddedTeams
from aiostream_server.tools.chart.painter import open_painter
from aiostream_server.web.app import create_app
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.health import SHARED_RUNS, SharedStatus
from aiostream_server.web.state import CurrentState, ServerState


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
            opened = open_generation(
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
        expiring(conversations, files),
        _open_backend(config) as (shared_runs, backend),
    ):
        shared = SharedStores(conversations, files, painter)
        opened = open_generation(config, shared, state_directory, observer, embedded)
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


async def _close_unused(state: ServerState, stack: AsyncExitStack) -> None:
    await state.resources.references.until_unused()
    try:
        await stack.aclose()
    except Exception as exc:  # raised by a user's own model client
        log_bug("old_state_not_closed", exc)
