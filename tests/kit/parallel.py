"""Runs the tests in several processes: `pytest --processes=4`. Each is a fork of this one after the collection.

Collecting takes 6 s of CPU time; plugins that start their processes afresh take that for each of them. All tests of a
file run in one process and in order, so that its fixtures are made once; with the marker `together(name)`, those of
several files. What took longest the last time is first, so that no process is left with it at the end. The marker
`alone` is for tests that measure time: they run after all others, in one more process.

The parent runs no test. It hands out batches, and reports what the processes tell.
"""

import os
import random
import sys
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Final

import pytest

_DURATIONS: Final = "processes/seconds"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--processes", type=int, default=0, help="run the tests in so many processes; 0: in this one")


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    count: int = session.config.getoption("processes")
    if not count or session.config.option.collectonly or session.testsfailed:
        return None
    parent = _Parent(session)
    beside, alone = _batches(session)
    for batches, processes in ((beside, count), (alone, 1)):
        if (child := parent.run(batches, processes)) is not None:
            child.run()
            return True
    parent.remember_durations()
    return True


_Batch = Sequence[int]
"""Tests for one process: their places in `session.items`."""


def _batches(session: pytest.Session) -> tuple[list[_Batch], list[_Batch]]:
    """Those that run beside each other, and those that run alone; in both, the longest first."""
    assert session.config.cache is not None
    seconds: dict[str, float] = session.config.cache.get(_DURATIONS, {})
    beside, alone = defaultdict[str, list[int]](list), defaultdict[str, list[int]](list)
    for place, item in enumerate(session.items):
        (alone if item.get_closest_marker("alone") else beside)[_name_of_batch(item)].append(place)
    by_name = [sorted(each, key=lambda name: -seconds.get(name, 0.0)) for each in (beside, alone)]
    return [beside[name] for name in by_name[0]], [alone[name] for name in by_name[1]]


def _name_of_batch(item: pytest.Item) -> str:
    together = item.get_closest_marker("together")
    return str(together.args[0]) if together else item.nodeid.partition("::")[0]


class _Parent:
    """Hands batches to its children until all have run, and reports their tests as if they had run here."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        config: Any = session.config
        config._tmp_path_factory.getbasetemp()  # before the forks, so that one folder has those of all
        self._running: dict[Connection, int] = {}  # the process, by its end of the pipe
        self._current: dict[Connection, deque[int]] = {}  # what it has not finished; the first one has begun
        self._seconds = defaultdict[str, float](float)
        self._started = 0

    def run(self, batches: Iterable[_Batch], processes: int) -> "_Child | None":
        """Return None when all have run; in a child, at once, what it shall run."""
        waiting = deque(batches)
        try:
            for _ in range(min(processes, len(waiting))):
                if (child := self._fork()) is not None:
                    return child
            while self._running:
                for each in wait(list(self._running)):
                    assert isinstance(each, Connection)
                    if not self._has_ended(each, waiting) or not waiting or self._session.shouldfail:
                        continue
                    if (child := self._fork()) is not None:  # in place of one that has died
                        return child
        finally:
            for each in self._running:
                each.close()
        if self._session.shouldfail:
            raise self._session.Failed(self._session.shouldfail)
        return None

    def _fork(self) -> "_Child | None":
        ours, its = Pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        self._started += 1
        if pid := os.fork():
            its.close()
            self._running[ours], self._current[ours] = pid, deque()
            return None
        for each in (ours, *self._running):
            each.close()
        self._running.clear()
        return _Child(self._session, its, self._started)

    def _has_ended(self, connection: Connection, waiting: deque[_Batch]) -> bool:
        """Reads one message. Whether it was the last one."""
        try:
            what, value = connection.recv()
        except (EOFError, ConnectionError):
            what, value = "end", None
        unfinished = self._current[connection]
        if what == "batch?":
            batch = [] if self._session.shouldfail or not waiting else waiting.popleft()
            unfinished.extend(batch)
            connection.send(batch)
        elif what == "report":
            self._report(value, unfinished)
        else:
            connection.close()
            _, status = os.waitpid(self._running.pop(connection), 0)
            if unfinished and not self._session.shouldfail:
                self._report_death(unfinished.popleft(), status)
                waiting.extendleft([unfinished] if unfinished else [])
            return True
        return False

    def _report(self, value: dict[str, Any], unfinished: deque[int]) -> None:
        hook = self._session.config.hook
        report = hook.pytest_report_from_serializable(config=self._session.config, data=value)
        self._seconds[_name_of_batch(self._session.items[unfinished[0]])] += report.duration
        hook.pytest_runtest_logreport(report=report)
        if report.when == "teardown":
            unfinished.popleft()
            hook.pytest_runtest_logfinish(nodeid=report.nodeid, location=report.location)

    def _report_death(self, place: int, status: int) -> None:
        item = self._session.items[place]
        how = f"The process that ran it has ended with {os.waitstatus_to_exitcode(status)}."
        report = pytest.TestReport(item.nodeid, item.location, {}, "failed", how, "call")
        self._session.config.hook.pytest_runtest_logreport(report=report)

    def remember_durations(self) -> None:
        cache = self._session.config.cache
        assert cache is not None
        cache.set(_DURATIONS, {**cache.get(_DURATIONS, {}), **self._seconds})


class _Child:
    """Runs the batches that it is given, and is a session of its own to its end. Its standard output goes nowhere."""

    def __init__(self, session: pytest.Session, connection: Connection, number: int) -> None:
        self._session, self._connection = session, connection
        random.seed()
        config: Any = session.config
        config.pluginmanager.register(self, "parallel-child")
        config._tmp_path_factory._basetemp = config._tmp_path_factory.mktemp(f"process-{number}", numbered=False)
        capture: Any = config.pluginmanager.getplugin("capturemanager")
        # Kept, and not stopped: that would close what modules have taken for `sys.stderr` when they were imported.
        capture.suspend_global_capture(in_=True)
        self._inherited, capture._global_capturing = capture._global_capturing, None
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 1)
        os.close(nowhere)
        capture.start_global_capturing()
        capture.suspend_global_capture()

    def run(self) -> None:
        """The next batch is asked for before the last test of the one before, which keeps what both use."""
        items = self._items()
        item = next(items, None)
        while item is not None:
            following = next(items, None)
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            item = None if self._session.shouldfail else following
        with suppress(ConnectionError):
            self._connection.send(("end", None))

    def _items(self) -> Iterator[pytest.Item]:
        for place in chain.from_iterable(iter(self._next_batch, [])):
            yield self._session.items[place]

    def _next_batch(self) -> _Batch:
        try:
            self._connection.send(("batch?", None))
            batch: _Batch = list(self._connection.recv())
        except (EOFError, ConnectionError):
            return []
        return batch

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        config = self._session.config
        self._connection.send(("report", config.hook.pytest_report_to_serializable(config=config, report=report)))
