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
from aiostream_server.store.log import RunLog
from aiostream_server.teams.inside import background_tasks

_TOKEN_GRACE_S: Final = 0.05
_RUNTIME_GRACE_S: Final = 0.4
_LAST_GRACE_S: Final = 0.2

_log = structlog.get_logger()


async def watch(
    work: asyncio.Task[None], stop: asyncio.Future[FinishReason | Error], log: RunLog, limits: LimitsConfig
) -> FinishReason | Error | None:
    """Wait until the work is done (None), somebody stops it (why), or a deadline passes (the error to tell)."""
    ends_at = time.monotonic() + limits.run_timeout_s
    while not work.done() and not stop.done():
        # A team that waits for its viewers is not idle: they are evicted, or read on.
        idle_since = time.monotonic() if log.holds_back else log.last_active_at
        idle_ends_at = idle_since + limits.idle_timeout_s
        left_s = min(ends_at, idle_ends_at) - time.monotonic()
        if left_s <= 0 and ends_at <= idle_ends_at:
            return Error("run_timeout", f"the run was ended after its limit of {limits.run_timeout_s:g} s")
        if left_s <= 0:
            return Error("idle_timeout", f"the team said nothing for {limits.idle_timeout_s:g} s and was ended")
        both: set[asyncio.Future[Any]] = {work, stop}
        await asyncio.wait(both, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
    return stop.result() if stop.done() else None


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
