"""Timers that share one of the event loop's: each is called once, at its time, unless it was cancelled."""

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, TypeAlias

import pytest
import uvloop

from aiostream_server.timers import Timer, call_at, call_later

Run: TypeAlias = Callable[[Any], None]

_whose: ContextVar[str] = ContextVar("whose", default="no run's")


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    runner: Run = request.param
    return runner


def test_they_are_called_in_the_order_of_their_times_and_not_before(run: Run) -> None:
    async def main() -> None:
        loop, called, over = asyncio.get_running_loop(), list[tuple[int, float]](), asyncio.Event()
        began_at = loop.time()
        for place in (3, 1, 4, 2, 0):
            call_at(began_at + place / 100, lambda place=place: called.append((place, loop.time())))  # type: ignore[misc]
        call_at(began_at + 0.05, over.set)
        await over.wait()
        assert [place for place, _ in called] == [0, 1, 2, 3, 4]
        assert all(at >= began_at + place / 100 for place, at in called)

    run(main())


def test_one_that_was_cancelled_is_not_called_and_many_are_not_kept(run: Run) -> None:
    async def main() -> None:
        over, called = asyncio.Event(), list[int]()
        kept = call_later(0.02, over.set)
        for number in range(10_000):
            timer = call_later(600.0, lambda: called.append(1))
            first = call_later(0.0, lambda number=number: called.append(number))  # type: ignore[misc]
            for each in (timer, first, first):
                each.cancel()
        assert len(timers_of(kept)) < 100
        await over.wait()
        kept.cancel()
        assert not called
        assert not [timer for timer in timers_of(kept) if not timer.is_over]

    run(main())


def test_one_that_fails_is_reported_and_stops_no_other(run: Run) -> None:
    async def main() -> None:
        loop, over, told = asyncio.get_running_loop(), asyncio.Event(), list[object]()
        loop.set_exception_handler(lambda _, context: told.append(context["exception"]))
        error = ValueError()

        def fail() -> None:
            raise error

        call_later(0.0, fail)
        call_later(0.0, over.set)
        await over.wait()
        assert told == [error]

    run(main())


def test_a_callback_can_set_another_and_has_no_context_of_a_run(run: Run) -> None:
    async def main() -> None:
        over, seen = asyncio.Event(), list[str]()
        _whose.set("a run's")

        def first() -> None:
            seen.append(_whose.get())
            call_later(0.0, over.set)

        call_later(0.0, first)
        await over.wait()
        assert seen == ["no run's"]

    run(main())


def timers_of(timer: Timer) -> list[Timer]:
    return timer._clock._timers
