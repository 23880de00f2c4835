"""Reloads the configuration at SIGHUP, or when a file has changed, without interrupting a run.

The file is loaded and checked as `aiostream-server check` does. A broken one changes nothing, and every mistake is a
line in the log. A good one is opened completely, and then replaces the old one in one step: requests and runs that have
begun go on with the old one. Reloads do not overlap: one that is requested during another follows it. One that hangs in
the user's code is given up.

The user's own Python modules are imported again if one of them has changed (`user_modules`), and components' JSON files
are read again. A change of an installed package needs a restart.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

import structlog

from aiostream_server.config.model import Config, TeamConfig
from aiostream_server.config.reloading import changed_tables, files_of, for_running
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import Key, KeyRing
from aiostream_server.intake.loopback import bind_problem
from aiostream_server.service.composition import Generations
from aiostream_server.service.config_check import find_problems, find_restart_problems
from aiostream_server.service.file_watch import take_snapshots, watch
from aiostream_server.service.reload_work import ReloadWork
from aiostream_server.service.signals import hangups
from aiostream_server.service.slow_imports import telling_slow_imports
from aiostream_server.service.status import LastReload, StatusReceiver
from aiostream_server.service.systemd import ServiceManager
from aiostream_server.service.user_modules import RemovedModules, UserModules
from aiostream_server.text import printable_line
from aiostream_server.web.bugs import log_bug
from aiostream_server.web.state import ServerState

_PROBLEM_CHARS: Final = 300

_log = structlog.get_logger()


@asynccontextmanager
async def reloading_at_hangup(reloading: "Reloading", config_path: Path | None = None) -> AsyncIterator[None]:
    """Reload at each SIGHUP inside of the block. With `[server] watch`, also when a file of the configuration has
    changed."""
    reloading.modules.note()
    tasks = {asyncio.create_task(reloading.work(), name="reload")}
    if reloading.config.server.watch:
        files = partial(reloading.files, config_path)
        snapshots = await asyncio.to_thread(take_snapshots, files)
        watching = watch(files, reloading.request, snapshots, lambda: reloading.modules.missed)
        tasks.add(asyncio.create_task(watching, name="watch"))
    try:
        with hangups(reloading.request):
            yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


class Reloading:
    """`load` reads the configuration, in a thread. `hosts` are the addresses that the server listens on.

    `also` are called in a thread after a successful reload, and may raise `ConfigError`.
    """

    def __init__(
        self,
        generations: Generations,
        load: Callable[[], Config],
        state_directory: Path,
        *,
        hosts: Sequence[str],
        receiver: StatusReceiver | None = None,
        also: Sequence[Callable[[], object]] = (),
        modules: UserModules | None = None,
        last_reload: LastReload | None = None,
        work: ReloadWork | None = None,
    ) -> None:
        self._generations: Final = generations
        self._load: Final = load
        self._state_directory: Final = state_directory
        self._hosts: Final = hosts
        self._receiver: Final = receiver or ServiceManager()
        self._also: Final = also
        self.modules: Final = modules or UserModules()
        self._last: Final = last_reload or LastReload()
        self._in_thread: Final = work or ReloadWork()
        self._requested: Final = asyncio.Event()
        self._wanted_files: frozenset[Path] = frozenset()

    @property
    def config(self) -> Config:
        """The configuration that is served."""
        return self._generations.current.state.config

    def files(self, config_path: Path | None) -> frozenset[Path]:
        """The files to watch: those of the configuration that is served, and of the one that failed to load last."""
        named = files_of(self.config) | self._wanted_files | self.modules.files()
        return named | ({config_path.absolute()} if config_path else set())

    def request(self) -> None:
        """Request a reload. To be called in the event loop; returns at once."""
        self._requested.set()

    async def work(self) -> None:
        """Reload when requested, until cancelled."""
        while True:
            await self._requested.wait()
            self._requested.clear()
            self._receiver.reloading()
            problem = "the server is stopping"
            try:
                problem = await self._reload()
            except asyncio.CancelledError:
                raise
            except BaseException as exc:  # a user's module may raise any; a later reload may succeed
                problem = type(exc).__name__
                log_bug("reload_failed", exc)
            finally:
                self._last.ended(problem)
                self._receiver.reloaded(problem)

    async def _reload(self) -> str:
        """Return the first problem, if there is one."""
        started_at, before = time.monotonic(), self._generations.current.state
        try:
            with telling_slow_imports():
                async with self._in_thread.given_up_if_it_hangs() as deadline:
                    wanted = await self._in_thread(self._load)
                    config, restarts = for_running(before.config, wanted)
                    self._wanted_files = files_of(config)
                    async with self._new_modules() as changed:
                        keys = await self._checked(config, wanted)
                        deadline.reschedule(None)  # what follows is not done by half
                        await self._generations.renew(config, keys, self._state_directory)
        except ConfigError as exc:
            return _tell(exc)
        problem = await self._read_again()
        if restarts:
            _log.warning("config_needs_restart", keys=restarts, note="what these say takes a restart")
        for note in sorted({*config.notes} - {*before.config.notes}):
            _log.info("config_note", note=note)
        if before.keys and not keys:
            _log.warning("serving_without_keys", host=config.server.host, note="only this machine is answered")
        after = self._generations.current.state
        changes = {**({"files_imported": changed} if changed else {}), **_changes(before, after)}
        _log.info("config_reloaded", reload_s=round(time.monotonic() - started_at, 3), **changes)
        return problem

    @asynccontextmanager
    async def _new_modules(self) -> AsyncIterator[Sequence[str]]:
        """Remove the user's modules if one has changed, and yield the changed files: the block imports them again. If
        the block raises, the old modules are put back. Raises `ConfigError`."""
        removed, finish = RemovedModules((), {}, time.time_ns()), self.modules.put_back
        try:
            removed = await asyncio.to_thread(self.modules.remove_changed)
            yield tuple(map(str, removed.changed))
            finish = self.modules.keep
        finally:
            await asyncio.to_thread(finish, removed)

    async def _read_again(self) -> str:
        problem = ""
        for read_again in self._also:
            try:
                await asyncio.to_thread(read_again)
            except ConfigError as exc:
                problem = problem or _tell(exc)
        return problem

    async def _checked(self, config: Config, wanted: Config) -> KeyRing:
        """The keys. Raises `ConfigError` with every mistake, also of what in `wanted` takes a restart."""
        ring, problems = KeyRing(), list[str]()
        try:
            ring = await self._in_thread(KeyRing.load, config.auth.keys_file)
        except ConfigError as exc:
            problems += exc.problems
        else:
            problems += [problem for host in self._hosts if (problem := bind_problem(host, ring))]
        problems += await find_problems(config, state_directory=self._state_directory, offload=self._in_thread)
        problems += await self._in_thread(find_restart_problems, wanted, self.config)
        if problems:
            raise ConfigError(problems)
        return ring


def _tell(error: ConfigError) -> str:
    for problem in error.problems:
        _log.warning("config_not_reloaded", problem=problem)
    return printable_line(error.problems[0], _PROBLEM_CHARS) if error.problems else "the configuration is wrong"


def _changes(before: ServerState, after: ServerState) -> dict[str, object]:
    """The facts of the log line: ids and names, without what is unchanged."""
    teams = _compared(_teams(before), _teams(after))
    keys = _compared(_keys(before.keys), _keys(after.keys))
    found = {
        **{f"teams_{how}": ids for how, ids in teams.items()},
        **{f"keys_{how}": ids for how, ids in keys.items()},
        "tables_changed": changed_tables(before.config, after.config),
    }
    return {"teams": len(_teams(after)), "keys": len(after.keys), **{name: ids for name, ids in found.items() if ids}}


def _compared(before: Mapping[str, object], after: Mapping[str, object]) -> dict[str, list[str]]:
    return {
        "added": [name for name in after if name not in before],
        "removed": [name for name in before if name not in after],
        "changed": [name for name in after if name in before and before[name] != after[name]],
    }


def _teams(state: ServerState) -> Mapping[str, TeamConfig]:
    return {spec.id: spec.config for spec in state.catalogue}


def _keys(ring: Iterable[Key]) -> Mapping[str, Key]:
    return {key.id: key for key in ring}
