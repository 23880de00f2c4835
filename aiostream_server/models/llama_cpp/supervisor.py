"""Supervises one model's process: starts it on the first request, restarts it after a crash, stops it when idle.

A failed start is reported to all waiting requests, and to new ones during a pause that doubles from 1 s to 30 s. A
process that crashes soon after its start is restarted after such a pause. Tables and reloaded configurations with the
same model and settings share one supervisor by reference count, because weights are large and slow to load.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

import structlog

from aiostream_server.backoff import doubled_s
from aiostream_server.config.model import LlamaCppModelConfig
from aiostream_server.errors import ModelFailed
from aiostream_server.models.llama_cpp.process import LlamaProcess, StartFailed, read_template
from aiostream_server.unreadable import why_unreadable

_FIRST_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0
_SOUND_S: Final = 60.0  # a process that runs this long has started well

_Result = TypeVar("_Result")

_log = structlog.get_logger()


class LlamaSupervisor:
    """Supervises the process of one `[models.*]` table, in one event loop."""

    def __init__(self, config: LlamaCppModelConfig, forget: Callable[[], object]) -> None:
        """`forget` is called when the last of the `references` is closed."""
        self.references = 0
        self._forget = forget
        self._config = config
        self._name = config.path.stem
        self._process: LlamaProcess | None = None
        self._starting: asyncio.Task[LlamaProcess] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._idle: asyncio.TimerHandle | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._users = 0
        self._failures_in_a_row = 0
        self._failure = ""
        self._not_before = 0.0
        self._is_closed = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LlamaProcess]:
        """The ready process; it is not stopped as idle inside the block. Raises `ModelFailed`."""
        self._users += 1
        if self._idle is not None:
            self._idle.cancel()
        try:
            yield await self._ready()
        finally:
            self._users -= 1
            self._wait_for_idleness()

    async def close(self) -> None:
        """Give a reference back; the last one stops the process, and no other is started."""
        self.references -= 1
        if self.references:
            return
        self._forget()
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
            return await asyncio.shield(starting)  # a cancelled request does not cancel the start for others
        except StartFailed as exc:
            raise ModelFailed(f"the local model {self._name} could not be started: {exc}") from exc
        except asyncio.CancelledError as cancelled:
            stopped = ModelFailed(f"the local model {self._name} was not started yet")
            if starting.cancelled():
                raise stopped from cancelled
            raise cancelled from stopped  # the cause says that the call has cost nothing

    def _started(self, starting: asyncio.Task[LlamaProcess]) -> None:
        self._starting = None
        if not starting.cancelled() and starting.exception() is None:  # `exception()` marks it as retrieved
            self._wait_for_idleness()

    async def _start(self) -> LlamaProcess:
        now = asyncio.get_running_loop().time
        if (pause_s := self._not_before - now()) > 0:
            if self._failure:
                raise StartFailed(f"{self._failure}; the next try is in {pause_s:.0f} s")
            await asyncio.sleep(pause_s)  # it just crashed: no tight restart loop
        begun_at = now()
        try:
            process = await LlamaProcess.start(self._config)
        except StartFailed as exc:
            self._failure = str(exc)
            self._failures_in_a_row += 1
            self._not_before = now() + _pause_s(self._failures_in_a_row)
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
        """Notice a crash."""
        now = asyncio.get_running_loop().time
        begun_at = now()
        await asyncio.wait((process.ended,))
        if self._process is not process:
            return  # stopped on purpose
        self._process = None
        await process.stop()
        _log.warning("llama_cpp_died", model=self._name, pid=process.pid, ending=process.ending)
        if now() - begun_at >= _SOUND_S:
            self._failures_in_a_row = 0
        self._not_before = now() + _pause_s(self._failures_in_a_row)  # 0 after the first crash
        self._failures_in_a_row += 1

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
    """Run outside the context of the request that happens to start it, so that its logs do not carry that run's id."""
    return asyncio.create_task(work, name=name, context=Context())


def _pause_s(failures: int) -> float:
    """The pause before the next start after so many failures in a row."""
    return doubled_s(failures, first_s=_FIRST_PAUSE_S, longest_s=_LONGEST_PAUSE_S) if failures else 0.0


_OF_REQUESTS: Final = frozenset({"options", "tools", "model_info"})  # settings of requests, not of the process


_all_shared: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, LlamaSupervisor]]] = WeakKeyDictionary()


def shared_supervisor(config: LlamaCppModelConfig) -> LlamaSupervisor:
    """A reference to this event loop's supervisor for these settings: close it once. Raises `ValueError`."""
    supervisors = _all_shared.setdefault(asyncio.get_running_loop(), {})
    key = _key(config)
    found = supervisors.setdefault(key, LlamaSupervisor(config, lambda: supervisors.pop(key)))
    found.references += 1
    return found


def _key(config: LlamaCppModelConfig) -> str:
    """Equal for equal settings and files: another file under the same name is another model."""
    said = config.model_dump_json(exclude=set(_OF_REQUESTS))
    template = read_template(config.chat_template)
    try:
        stat = config.path.stat()
    except OSError as exc:
        raise ValueError(f"path: {config.path} cannot be read: {why_unreadable(exc)}") from None
    return f"{said} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {template}"
