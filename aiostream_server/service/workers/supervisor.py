"""The parent of the workers: starts them, replaces those that end, passes signals on. It serves nothing itself.

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
from aiostream_server.service.workers.loads import Loads
from aiostream_server.service.workers.pace import RestartPace
from aiostream_server.service.workers.process import Command, WorkerProcess

_SECOND_SIGNAL: Final = 130
_ENDING_S: Final = 1.0  # for a worker to be gone, beyond what it was told; then it is killed
_BREAKING_OFF_S: Final = 3.0  # where the server does not come to serve

_log = structlog.get_logger()


class Supervisor:
    """For one call of `run`, in the main thread. `listening` is closed here once workers are to stop."""

    def __init__(self, listening: socket.socket, workers: int, command: Command, *, stop_within_s: float) -> None:
        self._listening: Final = listening
        self._command: Final = command
        self._stop_within_s: Final = stop_within_s
        self._loads: Final = Loads.create(workers)
        self._paces: Final = {number: RestartPace() for number in range(1, workers + 1)}
        self._due_at: Final = dict.fromkeys(self._paces, 0.0)
        """Of the workers that are to be started."""
        self._living: Final[dict[int, WorkerProcess]] = {}
        self._signals = 0
        self._is_stopping = False
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
            while not self._signals:
                self._start_due()
                self._wait(self._due_in_s())
            return self._stop(self._stop_within_s)

    def _start_due(self) -> None:
        now = time.monotonic()
        for number in [number for number, due_at in self._due_at.items() if due_at <= now]:
            del self._due_at[number]
            worker = self._living[number] = WorkerProcess(number, self._command, self._listening, self._loads)
            self._selector.register(worker.line, selectors.EVENT_READ, lambda worker=worker: self._hear(worker))
            _log.info("worker_started", worker=number, pid=worker.pid)

    def _due_in_s(self) -> float | None:
        return max(0.0, min(self._due_at.values()) - time.monotonic()) if self._due_at else None

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
        self._listening.close()
        self._tell_all(signal.SIGTERM)
        deadline = time.monotonic() + within_s + _ENDING_S
        while self._living and self._signals < 2 and (left_s := deadline - time.monotonic()) > 0:
            self._wait(left_s)
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
            try:
                yield
            finally:
                for number, handler in replaced.items():
                    signal.signal(number, handler)
                signal.set_wakeup_fd(former)

    def _count(self, *_: object) -> None:
        self._signals += 1


def _check_living(ended: Iterable[WorkerProcess]) -> None:
    for worker in ended:
        why = f"worker {worker.number} ended before it was ready, with status {worker.status}"
        raise ConfigError(worker.problems or [why])
