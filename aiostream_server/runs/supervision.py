"""Deadlines of a run's work, and how to end the work before it ends by itself.

AutoGen ends by its `CancellationToken`, except in the middle of a tool call, where it waits for ever. Then the tasks of
its runtime must be cancelled; without the token before it, that hangs, too. Breaking out of `run_stream` would run the
team to its end. https://github.com/microsoft/autogen/issues/7956
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, cast

import structlog
from autogen_core import CancellationToken

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import IdleTimeout, RunTimeout
from aiostream_server.events import Error
from aiostream_server.log.protocol import Log
from aiostream_server.teams.autogen_private.running_team import background_tasks
from aiostream_server.timers import Timer, call_later

_TOKEN_GRACE_S: Final = 0.05
_RUNTIME_GRACE_S: Final = 0.4
_LAST_GRACE_S: Final = 0.2

_log = structlog.get_logger()


class RunCancellation(CancellationToken):
    """Accepts the coroutine that AutoGen's `McpWorkbench` links to it, which has no `cancel`.

    AutoGen's own token raises when it is cancelled then, and whatever else is linked to it goes on (autogen-ext 0.7.5,
    tools/mcp/_workbench.py).
    """

    def link_future(self, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
        if hasattr(future, "cancel"):
            self.add_callback(cast("Callable[[], None]", future.cancel))  # AutoGen makes a function for each
        return future


class Deadlines:
    """Calls `end` with an error when the run, or a time without any sign of life, has lasted too long.

    One timer for both, and no task: `asyncio.wait` would take a kilobyte per run.
    """

    __slots__ = ("_end", "_ends_at", "_limits", "_log", "_timer")

    def __init__(self, log: Log, limits: LimitsConfig, end: Callable[[Error], object]) -> None:
        self._log = log
        self._limits = limits
        self._end = end
        log.last_active_at = time.monotonic()
        self._ends_at = log.last_active_at + limits.run_timeout_s
        self._timer: Timer
        self._check()

    def close(self) -> None:
        self._timer.cancel()

    def _check(self) -> None:
        now, limits = time.monotonic(), self._limits
        # A team that waits for its viewers is not idle: slow viewers are evicted, or read on.
        idle_since = now if self._log.has_blocked_producer else self._log.last_active_at
        idle_ends_at = idle_since + limits.idle_timeout_s
        left_s = min(self._ends_at, idle_ends_at) - now
        if left_s > 0:
            self._timer = call_later(left_s, self._check)
        elif idle_ends_at < self._ends_at:
            self._end(Error(IdleTimeout.code, f"the team said nothing for {limits.idle_timeout_s:g} s and was ended"))
        else:
            self._end(Error(RunTimeout.code, f"the run was ended after its limit of {limits.run_timeout_s:g} s"))


async def end_work(work: asyncio.Task[None], token: CancellationToken, find_team: Callable[[], object | None]) -> None:
    """Make `work`, which runs a team, end: within 0.9 s, else log that it did not."""
    token.cancel()
    if find_team() is None:
        work.cancel()  # not inside AutoGen yet: this interrupts only our own code
    await _wait(work, _TOKEN_GRACE_S)
    layers = () if work.done() else tuple(background_tasks(find_team()))
    # Innermost runtime first: an outer one ends by itself then. Ended together, the outer one leaves tasks behind.
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
    work.add_done_callback(_retrieve)


def _retrieve(work: asyncio.Task[None]) -> None:
    """Mark its exception as retrieved, however late it comes: asyncio would log it otherwise."""
    if not work.cancelled():
        work.exception()


async def _wait(work: asyncio.Task[None], timeout_s: float) -> None:
    if not work.done():
        await asyncio.wait({work}, timeout=timeout_s)
