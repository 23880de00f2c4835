"""How a run's work is watched, and how it is ended before it ends by itself.

AutoGen ends by its `CancellationToken`, except in the middle of a tool call, where it waits for ever; then the tasks of
its runtime must be cancelled (without the token before it, that hangs, too). Breaking out of `run_stream` would run
the team to its end. https://github.com/microsoft/autogen/issues/7956
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from autogen_core import CancellationToken

from aiostream_server.config.model import LimitsConfig
from aiostream_server.events import Error, FinishReason
from aiostream_server.log.protocol import Log
from aiostream_server.teams.autogen_private.structure import background_tasks

_TOKEN_GRACE_S: Final = 0.05
_RUNTIME_GRACE_S: Final = 0.4
_LAST_GRACE_S: Final = 0.2

_log = structlog.get_logger()


async def watch(
    work: asyncio.Task[None], stop: asyncio.Future[FinishReason | Error], log: Log, limits: LimitsConfig
) -> FinishReason | Error | None:
    """Wait until the work is done (None), somebody stops it (why), or a deadline passes (the error to tell)."""
    if stop.done():  # before anything was begun
        return stop.result()
    watching = _Watching(log, limits)
    work.add_done_callback(watching.end)
    stop.add_done_callback(watching.end)
    try:
        deadline = await watching.over
    finally:
        watching.close()
        work.remove_done_callback(watching.end)
        stop.remove_done_callback(watching.end)
    return stop.result() if stop.done() else None if work.done() else deadline


class _Watching:
    """One timer and one future, where `asyncio.wait` takes a kilobyte of a run that is waited for."""

    __slots__ = ("_ends_at", "_limits", "_log", "_timer", "over")

    def __init__(self, log: Log, limits: LimitsConfig) -> None:
        self.over: asyncio.Future[Error | None] = asyncio.get_running_loop().create_future()
        """The deadline that has passed, or None where something else ended it."""
        self._log = log
        self._limits = limits
        self._ends_at = time.monotonic() + limits.run_timeout_s
        self._timer: asyncio.TimerHandle | None = None
        self._look()

    def end(self, _: asyncio.Future[Any]) -> None:
        if not self.over.done():
            self.over.set_result(None)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        now = time.monotonic()
        # A team that waits for its viewers is not idle: they are evicted, or read on.
        idle_since = now if self._log.has_blocked_producer else self._log.last_active_at
        idle_ends_at = idle_since + self._limits.idle_timeout_s
        left_s = min(self._ends_at, idle_ends_at) - now
        if left_s > 0:
            self._timer = self.over.get_loop().call_later(left_s, self._look)
        elif not self.over.done():
            self.over.set_result(_too_late(self._limits, is_idle=idle_ends_at < self._ends_at))


def _too_late(limits: LimitsConfig, *, is_idle: bool) -> Error:
    if is_idle:
        return Error("idle_timeout", f"the team said nothing for {limits.idle_timeout_s:g} s and was ended")
    return Error("run_timeout", f"the run was ended after its limit of {limits.run_timeout_s:g} s")


async def end_work(work: asyncio.Task[None], token: CancellationToken, find_team: Callable[[], object | None]) -> None:
    """Make `work`, which runs a team, end: within 0.9 s, or say in the log that it did not."""
    token.cancel()
    if find_team() is None:
        work.cancel()  # not inside AutoGen yet: nothing but our own code is interrupted
    await _wait(work, _TOKEN_GRACE_S)
    layers = () if work.done() else tuple(background_tasks(find_team()))
    # An outer runtime ends by itself once its inner one has; ended together with it, it leaves tasks behind.
    for tasks in layers:
        for task in tasks:
            task.cancel()
        await _wait(work, _RUNTIME_GRACE_S / len(layers))
    for _ in range(2):  # AutoGen's `finally` outlives a first cancel
        if not work.done():
            work.cancel()
            await _wait(work, _LAST_GRACE_S)
    if not work.done():
        _log.warning("run_work_left_behind")
    work.add_done_callback(_see)


def _see(work: asyncio.Task[None]) -> None:
    """asyncio need not report its exception as forgotten, however late it comes."""
    if not work.cancelled():
        work.exception()


async def _wait(work: asyncio.Task[None], timeout_s: float) -> None:
    if not work.done():
        await asyncio.wait({work}, timeout=timeout_s)
