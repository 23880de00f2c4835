"""What is entered and left in a task of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import Final

import anyio
import pytest
from structlog.testing import capture_logs

from aiostream_server.teams.tools.kept import Kept
from aiostream_server.teams.tools.scope import RunScope

RUN: Final[ContextVar[str]] = ContextVar("RUN", default="nobody's")


@asynccontextmanager
async def scoped(log: list[str]) -> AsyncIterator[str]:
    """As MCP's clients are made: a task group, which must be left by the task that entered it."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        log.append("entered")
        try:
            yield RUN.get()
        finally:
            log.append("left")
            group.cancel_scope.cancel()


@asynccontextmanager
async def stubborn() -> AsyncIterator[None]:
    yield
    end = asyncio.get_running_loop().time() + 0.5
    while (left_s := end - asyncio.get_running_loop().time()) > 0:
        try:
            await asyncio.sleep(left_s)
        except asyncio.CancelledError:
            continue


@asynccontextmanager
async def broken() -> AsyncIterator[None]:
    raise LookupError("there is none")
    yield


async def test_any_task_may_open_and_any_other_close_it() -> None:
    log: list[str] = []
    RUN.set("the first run's")
    kept = Kept(scoped(log), name="it")
    assert await asyncio.create_task(kept.opened()) == "nobody's", "it does not hold on to the run that opened it"
    assert log == ["entered"]
    await asyncio.create_task(kept.close())
    assert log == ["entered", "left"]
    assert kept.task.done()


async def test_who_waits_for_it_may_be_cancelled() -> None:
    log: list[str] = []
    kept = Kept(scoped(log), name="it")
    waiting = asyncio.create_task(kept.opened())
    waiting.cancel()
    await asyncio.wait({waiting})
    await kept.opened()
    await kept.close()
    assert log == ["entered", "left"]


async def test_what_entering_raises_is_raised_to_who_waits() -> None:
    kept = Kept(broken(), name="it")
    with pytest.raises(LookupError, match="there is none"):
        await kept.opened()
    await kept.close()


async def test_late_is_left() -> None:
    kept = Kept(asynccontextmanager(_never)(), name="it")
    with pytest.raises(TimeoutError):
        await kept.opened(0.01)
    await asyncio.wait({kept.task}, timeout=1)
    assert kept.task.done()


async def _never() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


async def test_what_does_not_leave_is_left_behind_and_told() -> None:
    kept = Kept(stubborn(), name="it")
    await kept.opened()
    with capture_logs() as logs:
        await kept.close(grace_s=0.02)
    assert logs == [{"event": "tool_left_behind", "tool": "it", "log_level": "warning"}]
    await asyncio.wait({kept.task})


async def test_a_scope_closes_everything_and_tells_what_cannot_be() -> None:
    scope, log = RunScope(), list[str]()

    async def failing() -> None:
        raise OSError("no")

    await scope.open(scoped(log))
    scope.on_close(failing)
    with capture_logs() as logs:
        await scope.close()
    assert log == ["entered", "left"]
    assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == ["tool_not_closed"]
    with pytest.raises(RuntimeError, match="the run has ended"):
        await scope.open(scoped(log))
    await asyncio.sleep(0)  # what was begun all the same would have begun by now
    assert log == ["entered", "left"]
