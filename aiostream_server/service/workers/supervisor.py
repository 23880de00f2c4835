"""The parent of the workers: starts them, replaces those that end, passes signals on. It serves nothing itself.

It notifies the service manager for all of them. If the service manager has a watchdog, the parent is the watchdog of
the workers: it ends a worker with SIGABRT when its event loop is blocked for the watchdog's time, and replaces it. It
does not watch workers that are not ready yet, or that it has told to end.

It has no event loop and no threads, and imports no module that serves: little can block it, and it is small.
"""

import selectors
import signal
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from typing import Final

import structlog

from aiostream_server.backoff import doubled_s
from aiostream_server.errors import ConfigError
from aiostream_server.service.signals import Terminal
from aiostream_server.service.sockets import Listening
from aiostream_server.service.status import ProcessStatus
from aiostream_server.service.systemd import ServiceManager
from aiostream_server.service.workers.pages import WorkerPages
from aiostream_server.service.workers.process import Command, WorkerProcess
from aiostream_server.service.workers.share import ConnectionCounts

_SECOND_SIGNAL: Final = 130
_KILL_AFTER_S: Final = 1.0  # a worker that outlives its time by so much is killed
_FAILED_START_S: Final = 3.0  # for the others to end, when one worker cannot start
_FIRST_RESTART_S: Final = 0.5
_LONGEST_RESTART_S: Final = 30.0
_SOUND_S: Final = 60.0

_log = structlog.get_logger()


class RestartBackoff:
    """The delays between the restarts of one worker: each is twice the last one, until a worker lives for a minute."""

    def __init__(self) -> None:
        self._short_lives = 0

    def delay_after(self, lived_s: float) -> float:
        """The delay in seconds, after a worker that lived for so long."""
        self._short_lives = 1 if lived_s >= _SOUND_S else self._short_lives + 1
        return doubled_s(self._short_lives, first_s=_FIRST_RESTART_S, longest_s=_LONGEST_RESTART_S)


class Supervisor:
    """Serves one call of `run`, in the main thread. Closes `listening` when the workers are to stop."""

    def __init__(
        self, listening: Listening, workers: int, command: Command, *, stop_within_s: float, manager: ServiceManager
    ) -> None:
        self._listening: Final = listening
        self._manager: Final = manager
        self._beat_at = 0.0
        self._command: Final = command
        self._stop_within_s: Final = stop_within_s
        self._counts: Final = ConnectionCounts.create(workers)
        self._pages: Final = WorkerPages.create(workers)
        self._backoffs: Final = {number: RestartBackoff() for number in range(1, workers + 1)}
        self._due_at: Final = dict.fromkeys(self._backoffs, 0.0)
        """When each worker that does not live is to be started."""
        self._living: Final[dict[int, WorkerProcess]] = {}
        self._signals = 0
        self._is_stopping = False
        self._terminal: Final = Terminal()
        self._is_reload_asked = False
        self._reloaded_at = 0.0
        self._selector: Final = selectors.DefaultSelector()

    def run(self, on_ready: Callable[[], object]) -> int:
        """Run until a signal, and return the exit status. Calls `on_ready` when all workers are ready.

        Raises `ConfigError` if a worker ends before all were ready for the first time. The others are ended before.
        """
        with closing(self._selector), self._signals_taken():
            try:
                self._start_due()
                while not self._signals and not all(worker.is_ready for worker in self._living.values()):
                    _check_living(self._wait(None))
            except ConfigError:
                self._stop(_FAILED_START_S)
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
            worker = self._living[number] = WorkerProcess(
                number, self._command, self._listening, self._counts, self._pages
            )
            self._selector.register(worker.connection, selectors.EVENT_READ, lambda worker=worker: self._hear(worker))
            _log.info("worker_started", worker=number, pid=worker.pid)

    def _reload_if_asked(self) -> None:
        """Tell the workers to reload. `_hear` tells those that are not ready yet, which may have read the old file."""
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
        """Send the watchdog's beat, unless a worker is blocked and SIGABRT has not ended it. Abort blocked workers."""
        if time.monotonic() < self._beat_at:
            return
        self._beat_at = time.monotonic() + self._manager.beat_s
        blocked = self._blocked()
        if not any(worker.is_aborted for worker in blocked):
            self._manager.beat(ProcessStatus.total([worker.process_status for worker in self._living.values()]))
        for worker in blocked:
            _log.error("worker_blocked", worker=worker.number, pid=worker.pid, watchdog_s=self._manager.watchdog_s)
            worker.abort()

    def _blocked(self) -> list[WorkerProcess]:
        if (watchdog_s := self._manager.watchdog_s) is None or self._is_stopping:
            return []
        return [worker for worker in self._living.values() if worker.is_silent(watchdog_s)]

    def _wait(self, timeout_s: float | None) -> list[WorkerProcess]:
        """Wait for any event, handle it, and return the workers that have ended."""
        for key, _ in self._selector.select(timeout_s):
            key.data()
        ended = [worker for worker in self._living.values() if worker.status is not None]
        for worker in ended:
            self._remove(worker)
        return ended

    def _hear(self, worker: WorkerProcess) -> None:
        was_ready = worker.is_ready
        if not worker.hear():
            self._selector.unregister(worker.connection)
        if worker.asks_for_pages:
            worker.asks_for_pages = False
            for each in self._living.values():
                if each is not worker:
                    each.ask_for_page()
        if worker.is_ready and not was_ready:
            _log.info("worker_ready", worker=worker.number, pid=worker.pid, start_s=round(worker.lived_s, 3))
            if time.monotonic() - worker.lived_s < self._reloaded_at:
                worker.signal(signal.SIGHUP)

    def _remove(self, worker: WorkerProcess) -> None:
        if worker.connection in self._selector.get_map():
            self._hear(worker)  # what it reported last
        if worker.connection in self._selector.get_map():
            self._selector.unregister(worker.connection)  # a program that it started keeps the channel open
        worker.close()
        del self._living[worker.number]
        self._counts.leave(worker.number)
        self._pages.mark_ended(worker.number)
        lived_s = worker.lived_s
        self._due_at[worker.number] = time.monotonic() + self._backoffs[worker.number].delay_after(lived_s)
        tell = _log.info if self._is_stopping else _log.warning
        tell("worker_ended", worker=worker.number, pid=worker.pid, status=worker.status, lived_s=round(lived_s, 3))

    def _stop(self, within_s: float) -> int:
        """Tell all workers to end, and kill those that do not; at a second signal, all of them."""
        self._is_stopping = True
        self._manager.stopping(within_s + _KILL_AFTER_S)
        self._listening.close()
        self._tell_all(signal.SIGTERM)
        deadline = time.monotonic() + within_s + _KILL_AFTER_S
        while self._living and self._signals < 2 and (left_s := deadline - time.monotonic()) > 0:
            self._beat_if_due()
            self._wait(min(left_s, max(0.0, self._beat_at - time.monotonic())))
        self._tell_all(signal.SIGKILL)
        for worker in tuple(self._living.values()):
            worker.wait()
            self._remove(worker)
        return _SECOND_SIGNAL if self._signals > 1 else 0

    def _tell_all(self, number: signal.Signals) -> None:
        for worker in self._living.values():
            worker.signal(number)

    @contextmanager
    def _signals_taken(self) -> Iterator[None]:
        """Count stop signals. Every signal, and so the end of a worker, wakes `_wait`."""
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
        raise ConfigError(worker.reported or [why])
