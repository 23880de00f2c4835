"""A resource is entered and left by a task of its own, and a scope closes what a run has open."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from contextvars import ContextVar
from typing import Final

import anyio
import pytest
from structlog.testing import capture_logs

from aiostream_server.teams.tools.scope import ResourceTask, RunScope

RUN: Final[ContextVar[str]] = ContextVar("RUN", default="none")


@asynccontextmanager
async def scoped(log: list[str]) -> AsyncIterator[str]:
    """A task group, which must be left by the task that entered it, as MCP's clients contain."""
    async with anyio.create_task_group() as group:
        group.start_soon(anyio.sleep_forever)
        log.append("entered")
        try:
            yield RUN.get()
        finally:
            log.append("left")
            group.cancel_scope.cancel()


@asynccontextmanager
async def stubborn(may_end: asyncio.Event) -> AsyncIterator[None]:
    """Ignores every cancellation until it may end."""
    yield
    while not may_end.is_set():
        with suppress(asyncio.CancelledError):
            await may_end.wait()


@asynccontextmanager
async def broken() -> AsyncIterator[None]:
    raise LookupError("there is none")
    yield


async def test_any_task_may_open_it_and_any_other_may_close_it() -> None:
    log: list[str] = []
    RUN.set("the first run's")
    resource = ResourceTask(scoped(log), name="it")
    assert await asyncio.create_task(resource.opened()) == "none", "it runs in an empty context"
    assert log == ["entered"]
    await asyncio.create_task(resource.close())
    assert log == ["entered", "left"]
    assert resource.task.done()


async def test_a_task_that_waits_for_it_may_be_cancelled() -> None:
    log: list[str] = []
    resource = ResourceTask(scoped(log), name="it")
    waiting = asyncio.create_task(resource.opened())
    waiting.cancel()
    await asyncio.wait({waiting})
    await resource.opened()
    await resource.close()
    assert log == ["entered", "left"]


async def test_an_error_of_entering_is_raised_to_the_waiting_task() -> None:
    resource = ResourceTask(broken(), name="it")
    with pytest.raises(LookupError, match="there is none"):
        await resource.opened()
    await resource.close()


async def test_a_resource_that_is_late_is_left() -> None:
    resource = ResourceTask(asynccontextmanager(_never)(), name="it")
    with pytest.raises(TimeoutError):
        await resource.opened(0.01)
    await asyncio.wait({resource.task}, timeout=30)
    assert resource.task.done()


async def _never() -> AsyncIterator[None]:
    await asyncio.Event().wait()
    yield


async def test_a_resource_that_does_not_end_is_abandoned_with_a_warning() -> None:
    resource = ResourceTask(stubborn(may_end := asyncio.Event()), name="it")
    await resource.opened()
    with capture_logs() as logs:
        await resource.close(timeout_s=0.02)
    assert logs == [{"event": "tool_left_behind", "tool": "it", "log_level": "warning"}]
    may_end.set()
    await asyncio.wait({resource.task})


async def test_a_scope_closes_everything_and_logs_failures() -> None:
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
    await asyncio.sleep(0)  # a task that was started anyway would run now
    assert log == ["entered", "left"]
