"""Signals: SIGTERM and SIGINT drain and end the server, a second one ends it at once, and SIGHUP reloads.

Nothing may keep a process alive that was told to end: neither a tool's thread, for which asyncio and the interpreter
wait at exit, nor a task that swallows its cancellation, nor code that blocks the event loop. So a thread of our own
ends the process when its time is over, and Python's signal handlers are used instead of the event loop's.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Final

from aiostream_server.config.model import Config
from aiostream_server.service.output import flush_output

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
_EXIT_BY_SECOND_SIGNAL: Final = 130
_GRACE_S: Final = 1.0
_STARTING_S: Final = 3.0  # nothing is served then: an import may hang
_LAST_LINES_S: Final = 0.1
_STDERR: Final = 2
_HAND_OVER_S: Final = 1.0


def lame_duck_s(config: Config, *, is_adopted: bool) -> float:
    """How long after the first signal new connections are accepted. Adopted sockets are the next process's at once."""
    return 0.0 if is_adopted else config.server.lame_duck_s


def hand_over_s(config: Config, *, is_adopted: bool) -> float:
    """For how long requests on connections that were accepted before are answered then: where others take new ones.

    These are the next process, for adopted sockets, and the other servers that share runs: a proxy keeps connections,
    and would ask the server that stops on them.
    """
    if is_adopted:
        return max(config.server.lame_duck_s, _HAND_OVER_S)
    return _HAND_OVER_S if config.runs.store == "redis" else 0.0


def stop_within_s(config: Config, *, is_adopted: bool) -> float:
    """How long after the first signal the server may live."""
    handing_s = lame_duck_s(config, is_adopted=is_adopted) + hand_over_s(config, is_adopted=is_adopted)
    return handing_s + config.server.drain_s + _GRACE_S


@contextmanager
def hangups(ask: Callable[[], object]) -> Iterator[None]:
    """Call `ask` in the event loop at each SIGHUP. A SIGHUP because the terminal was closed acts as a SIGTERM.

    To be entered in the main thread, with its event loop running.
    """
    loop, terminal = asyncio.get_running_loop(), Terminal()

    def on_signal(_: int, __: FrameType | None) -> None:
        if terminal.is_gone:
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            loop.call_soon_threadsafe(ask)

    former = signal.signal(signal.SIGHUP, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, former)


def outlive_hangups() -> None:
    """Let no SIGHUP end the process before `hangups` handles it. A server in a terminal still ends with it."""
    if not Terminal().is_there:
        signal.signal(signal.SIGHUP, lambda *_: None)  # SIG_IGN would be inherited by programs that teams start


class Terminal:
    """The terminal on stderr, as it was when this object was made."""

    def __init__(self) -> None:
        self.is_there: Final = os.isatty(_STDERR)

    @property
    def is_gone(self) -> bool:
        """Whether there was a terminal, and it was closed."""
        return self.is_there and not os.isatty(_STDERR)


class StopSignals:
    """Handles the stop signals inside of its block: `with StopSignals(within_s) as signals: await signals.stop.wait()`.

    The process ends `within_s` after the first signal, with status 0, even if something in it still runs; before
    `begin_serving` it ends sooner. To be entered in the main thread, with its event loop running. `second_ends` is
    False for a worker, which may get the first signal from its parent, from a terminal and from systemd.
    """

    def __init__(self, within_s: float, *, second_ends: bool = True) -> None:
        self.stop: Final = asyncio.Event()
        self._second_ends = second_ends
        self._within_s = within_s
        self._is_signalled = False
        self._is_starting = True
        self._loop = asyncio.get_running_loop()
        self._last_resort = _LastResort()
        self._replaced: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        self._replaced = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_signalled:
            return  # the process is about to end: a second signal still ends it at once
        for number, handler in self._replaced.items():
            signal.signal(number, handler)
        self._last_resort.cancel()

    def begin_serving(self) -> bool:
        """Say that the start is over. False: a signal has come during it, so nothing is to be served."""
        self._is_starting = False
        return not self._is_signalled

    def end_within(self, delay_s: float) -> None:
        """If a signal has come, give what still runs so long to end by itself."""
        if self._is_signalled:
            self._last_resort.end_within(delay_s)

    def _on_signal(self, _: int, __: FrameType | None) -> None:
        if self._is_signalled:
            if self._second_ends:
                flush_output(_LAST_LINES_S)
                os._exit(_EXIT_BY_SECOND_SIGNAL)
            return
        self._is_signalled = True
        self._last_resort.end_within(_STARTING_S if self._is_starting else self._within_s)
        self._loop.call_soon_threadsafe(self.stop.set)


class _LastResort:
    """A thread that ends the process at a set time. It is started early: a signal handler must not start a thread, but
    may put something in a `SimpleQueue`."""

    def __init__(self) -> None:
        self._orders: SimpleQueue[float | None] = SimpleQueue()
        threading.Thread(target=self._wait, name="last-resort", daemon=True).start()

    def end_within(self, delay_s: float) -> None:
        """The earliest of several times counts."""
        self._orders.put(time.monotonic() + delay_s)

    def cancel(self) -> None:
        self._orders.put(None)

    def _wait(self) -> None:
        if (ends_at := self._orders.get()) is None:
            return
        while (left_s := ends_at - time.monotonic()) > 0:
            with suppress(Empty):
                ends_at = min(ends_at, self._orders.get(timeout=left_s) or ends_at)
        flush_output(_LAST_LINES_S)
        os._exit(0)
