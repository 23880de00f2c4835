"""The parent of the workers: starts them, replaces those that end, passes signals on. It serves nothing itself.

It speaks for them to the service manager. Where that watches over the process, the parent watches over the workers: one
whose event loop does not turn for as long as the service manager would wait is ended, as the service manager would do
it (SIGABRT), and replaced; the others do not notice. Not watched: one that has not been ready yet, and one that is told
to end.

It imports nothing of what serves, has no event loop and no threads: little can hold it up, and it is small.
"""

import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import structlog

from aiostream_server.errors import ConfigError
from aiostream_server.service.figures import Figures
from aiostream_server.service.notify import ServiceManager
from aiostream_server.service.signals import Terminal
from aiostream_server.service.sockets import Listening
from aiostream_server.service.workers.loads import Loads
from aiostream_server.service.workers.pace import RestartPace
from aiostream_server.service.workers.process import Command, WorkerProcess

_SECOND_SIGNAL: Final = 130
_ENDING_S: Final = 1.0  # for a worker to be gone, beyond what it was told; then it is killed
_BREAKING_OFF_S: Final = 3.0  # where the server does not come to serve

_log = structlog.get_logger()


class Supervisor:
    """For one call of `run`, in the main thread. `listening` is closed here once workers are to stop."""

    def __init__(
        self, listening: Listening, workers: int, command: Command, *, stop_within_s: float, manager: ServiceManager
    ) -> None:
        self._listening: Final = listening
        self._manager: Final = manager
        self._beat_at = 0.0
        self._command: Final = command
        self._stop_within_s: Final = stop_within_s
        self._loads: Final = Loads.create(workers)
        self._paces: Final = {number: RestartPace() for number in range(1, workers + 1)}
        self._due_at: Final = dict.fromkeys(self._paces, 0.0)
        """Of the workers that are to be started."""
        self._living: Final[dict[int, WorkerProcess]] = {}
        self._signals = 0
        self._is_stopping = False
        self._terminal: Final = Terminal()
        self._is_reload_asked = False
        self._reloaded_at = 0.0
        self._selector: Final = selectors.DefaultSelector()

    def run(self, on_ready: Callable[[], object]) -> int:
        """Until a signal: the process's status. `on_ready` is called when all workers are.

        Raises `ConfigError` where one ends before all were ready for the first time; none is left then.
        """
        with closing(self._selector), self._signals_taken():
            try:
                self._start_due()
                while not self._signals and not all(worker.is_ready for worker in self._living.values()):
                    _check_living(self._wait(None))
            except ConfigError:
                self._stop(_BREAKING_OFF_S)
                raise
            if not self._signals:
                on_ready()
                self._manager.ready()
            while not self._signals:
                self._start_due()
                self._reload_if_asked()
                self._beat_if_due()
                self._wait(self._due_in_s())
            return self._stop(self._stop_within_s)

    def _start_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, due_at in self._due_at.items() if due_at <= now]:
            del self._due_at[number]
            worker = self._living[number] = WorkerProcess(number, self._command, self._listening, self._loads)
            self._selector.register(worker.line, selectors.EVENT_READ, lambda worker=worker: self._hear(worker))
            _log.info("worker_started", worker=number, pid=worker.pid)

    def _reload_if_asked(self) -> None:
        """Each worker reloads by itself. One that is not ready is told when it is: it may have read the old file."""
        if self._is_reload_asked:
            self._is_reload_asked = False
            self._manager.reloading()
            self._reloaded_at = time.monotonic()
            for worker in self._living.values():
                if worker.is_ready:
                    worker.signal(signal.SIGHUP)
            self._manager.ready()

    def _due_in_s(self) -> float:
        return max(0.0, min([self._beat_at, *self._due_at.values()]) - time.monotonic())

    def _beat_if_due(self) -> None:
        """The service manager is told that all is well, unless a worker's loop is blocked and it cannot be ended."""
        if time.monotonic() < self._beat_at:
            return
        self._beat_at = time.monotonic() + self._manager.beat_s
        blocked = self._blocked()
        if not any(worker.is_aborted for worker in blocked):
            self._manager.beat(Figures.total([worker.figures for worker in self._living.values()]))
        for worker in blocked:
            _log.error("worker_blocked", worker=worker.number, pid=worker.pid, watchdog_s=self._manager.watchdog_s)
            worker.abort()

    def _blocked(self) -> list[WorkerProcess]:
        if (watchdog_s := self._manager.watchdog_s) is None or self._is_stopping:
            return []
        return [worker for worker in self._living.values() if worker.is_silent(watchdog_s)]

    def _wait(self, timeout_s: float | None) -> list[WorkerProcess]:
        """For anything to happen: the workers that have ended."""
        for key, _ in self._selector.select(timeout_s):
            key.data()
        ended = [worker for worker in self._living.values() if worker.status is not None]
        for worker in ended:
            self._bury(worker)
        return ended

    def _hear(self, worker: WorkerProcess) -> None:
        was_ready = worker.is_ready
        if not worker.hear():
            self._selector.unregister(worker.line)
        if worker.is_ready and not was_ready:
            _log.info("worker_ready", worker=worker.number, pid=worker.pid, start_s=round(worker.lived_s, 3))
            if time.monotonic() - worker.lived_s < self._reloaded_at:
                worker.signal(signal.SIGHUP)

    def _bury(self, worker: WorkerProcess) -> None:
        if worker.line in self._selector.get_map():
            self._hear(worker)  # its last words
        if worker.line in self._selector.get_map():
            self._selector.unregister(worker.line)  # a process that it started holds the line
        worker.close()
        del self._living[worker.number]
        self._loads.leave(worker.number)
        lived_s = worker.lived_s
        self._due_at[worker.number] = time.monotonic() + self._paces[worker.number].delay_after(lived_s)
        tell = _log.info if self._is_stopping else _log.warning
        tell("worker_ended", worker=worker.number, pid=worker.pid, status=worker.status, lived_s=round(lived_s, 3))

    def _stop(self, within_s: float) -> int:
        """Tell all to end; kill those that do not, and all of them at a second signal."""
        self._is_stopping = True
        self._manager.stopping(within_s + _ENDING_S)
        self._listening.close()
        self._tell_all(signal.SIGTERM)
        deadline = time.monotonic() + within_s + _ENDING_S
        while self._living and self._signals < 2 and (left_s := deadline - time.monotonic()) > 0:
            self._beat_if_due()
            self._wait(min(left_s, max(0.0, self._beat_at - time.monotonic())))
        self._tell_all(signal.SIGKILL)
        for worker in tuple(self._living.values()):
            worker.wait()
            self._bury(worker)
        return _SECOND_SIGNAL if self._signals > 1 else 0

    def _tell_all(self, number: signal.Signals) -> None:
        for worker in self._living.values():
            worker.signal(number)

    @contextmanager
    def _signals_taken(self) -> Iterator[None]:
        """They are counted and wake `_wait`; so does a worker's end."""
        awake, wake = socket.socketpair()
        with awake, wake:
            awake.setblocking(False)
            wake.setblocking(False)
            self._selector.register(awake, selectors.EVENT_READ, lambda: awake.recv(4096))
            former = signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
            replaced = {number: signal.signal(number, self._count) for number in (signal.SIGTERM, signal.SIGINT)}
            replaced[signal.SIGCHLD] = signal.signal(signal.SIGCHLD, lambda *_: None)
            replaced[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_hangup)
            try:
                yield
            finally:
                for number, handler in replaced.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(former)

    def _count(self, *_: object) -> None:
        self._signals += 1

    def _on_hangup(self, *_: object) -> None:
        if self._terminal.is_gone:
            self._signals += 1
        self._is_reload_asked = True


def _check_living(ended: Iterable[WorkerProcess]) -> None:
    for worker in ended:
        why = f"worker {worker.number} ended before it was ready, with status {worker.status}"
        raise ConfigError(worker.problems or [why])
