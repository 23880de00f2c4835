"""Keeps one model's process: started by the first who needs it, once; started again when it has died; ended when nobody
has needed it for a while.

A start that fails is told to all who wait for it, and to whoever asks within a pause that grows from 1 s to 30 s. A
process that dies soon after its start is started again after such a pause, too.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import structlog

from aiostream_server.config.model import LlamaCppModelConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.llama_cpp.process import LlamaProcess, StartFailed, read_template

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_SOUND_S: Final = 60.0  # one that ran so long has no trouble with its start

_Result = TypeVar("_Result")

_log = structlog.get_logger()


class LlamaSupervisor:
    """Of one `[models.*]` table. For one event loop."""

    def __init__(self, config: LlamaCppModelConfig) -> None:
        self._config = config
        self._name = config.path.stem
        self._process: LlamaProcess | None = None
        self._starting: asyncio.Task[LlamaProcess] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._users = 0
        self._troubles = 0  # in a row
        self._failure = ""
        self._not_before = 0.0
        self._is_closed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LlamaProcess]:
        """The process, ready to be asked; not stopped for idleness inside of the block. Raises `ModelFailed`."""
        self._users += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            yield await self._ready()
        finally:
            self._users -= 1
            self._wait_for_idleness()

    async def close(self) -> None:
        """End it; nobody is started any more."""
        self._is_closed = True
        if self._idle is not None:
            self._idle.cancel()
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        await self._stop("closed")

    async def _ready(self) -> LlamaProcess:
        while self._stopping is not None:
            await asyncio.wait((self._stopping,))
        if self._is_closed:
            raise ModelFailed(f"the local model {self._name} has been stopped")
        if self._process is not None and self._process.is_alive:
            return self._process
        if (starting := self._starting) is None:
            starting = self._starting = _in_background(self._start(), "llama.cpp-start")
            starting.add_done_callback(self._started)
        try:
            return await asyncio.shield(starting)  # who gives up waiting does not take it from the others
        except StartFailed as exc:
            raise ModelFailed(f"the local model {self._name} could not be started: {exc}") from exc
        except asyncio.CancelledError as cancelled:
            stopped = ModelFailed(f"the local model {self._name} was not started yet")
            if starting.cancelled():
                raise stopped from cancelled
            raise cancelled from stopped  # told by its cause: nothing was done that costs

    def _started(self, starting: asyncio.Task[LlamaProcess]) -> None:
        self._starting = None
        if not starting.cancelled() and starting.exception() is None:  # else seen, also where everybody has gone
            self._wait_for_idleness()

    async def _start(self) -> LlamaProcess:
        now = asyncio.get_running_loop().time
        if (pause_s := self._not_before - now()) > 0:
            if self._failure:
                raise StartFailed(f"{self._failure}; the next try is in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)  # it ended just now, by itself: not to be started in a tight loop
        begun_at = now()
        try:
            process = await LlamaProcess.start(self._config)
        except StartFailed as exc:
            self._failure = str(exc)
            self._troubles += 1
            self._not_before = now() + _pause_s(self._troubles)
            _log.warning("llama_cpp_not_started", model=self._name, reason=str(exc))
            raise
        self._failure = ""
        self._process = process
        self._watching = _in_background(self._watch(process), "llama.cpp-watch")
        _log.info(
            "llama_cpp_started",
            model=self._name,
            pid=process.pid,
            duration_s=round(now() - begun_at, 3),
            knows_tools=process.knows_tools,
        )
        return process

    async def _watch(self, process: LlamaProcess) -> None:
        """See that it dies, if it does."""
        now = asyncio.get_running_loop().time
        begun_at = now()
        await asyncio.wait((process.ended,))
        if self._process is not process:
            return  # it was stopped
        self._process = None
        await process.stop()
        _log.warning("llama_cpp_died", model=self._name, pid=process.pid, ending=process.ending)
        if now() - begun_at >= _SOUND_S:
            self._troubles = 0
        self._not_before = now() + _pause_s(self._troubles)  # none, the first time
        self._troubles += 1

    def _wait_for_idleness(self) -> None:
        if self._users or self._is_closed or not self._config.idle_stop_s or self._process is None:
            return
        self._idle = asyncio.get_running_loop().call_later(self._config.idle_stop_s, self._stop_if_idle)

    def _stop_if_idle(self) -> None:
        if not self._users and not self._is_closed:
            self._stopping = _in_background(self._stop("idle"), "llama.cpp-stop")

    async def _stop(self, why: str) -> None:
        process, self._process = self._process, None
        try:
            if process is not None:
                await process.stop()
                _log.info("llama_cpp_stopped", model=self._name, pid=process.pid, why=why)
            if self._watching is not None:
                await asyncio.wait((self._watching,))
        finally:
            self._stopping = None


def _in_background(work: Coroutine[None, None, _Result], name: str) -> asyncio.Task[_Result]:
    """Outside of the run that happens to begin it: it belongs to all, and so does what it logs."""
    return asyncio.create_task(work, name=name, context=Context())


def _pause_s(troubles: int) -> float:
    """Before the next start, after so many troubles in a row."""
    return min(_FIRST_PAUSE_S * 2 ** (min(troubles, 10) - 1), _LONGEST_PAUSE_S) if troubles else 0.0


_OF_REQUESTS: Final = frozenset({"options", "tools", "model_info"})  # the process need not know


@dataclass(slots=True)
class _Shared:
    supervisor: LlamaSupervisor
    users: int = 0


_shared: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, _Shared]]] = WeakKeyDictionary()


class SharedSupervisor:
    """One user's hold on a supervisor. To be made in the event loop, and closed once."""

    def __init__(self, config: LlamaCppModelConfig) -> None:
        """Raises `ValueError` where a file is not there any more."""
        self._all = _shared.setdefault(asyncio.get_running_loop(), {})
        self._key = _key(config)
        shared = self._all.setdefault(self._key, _Shared(LlamaSupervisor(config)))
        shared.users += 1
        self.supervisor: Final = shared.supervisor

    async def close(self) -> None:
        """The last one ends the process."""
        shared = self._all[self._key]
        shared.users -= 1
        if not shared.users:
            del self._all[self._key]
            await shared.supervisor.close()


def _key(config: LlamaCppModelConfig) -> str:
    """Another file under the same name is another model."""
    said = config.model_dump_json(exclude=set(_OF_REQUESTS))
    template = read_template(config.chat_template) if config.chat_template is not None else ""
    try:
        stat = config.path.stat()
    except OSError as exc:
        raise ValueError(f"path: {config.path} cannot be read: {(exc.strerror or 'unreadable').lower()}") from None
    return f"{said} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {template}"
