"""Waits for conditions that no event announces: a log file, another process, a state inside a server."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, overload

T = TypeVar("T")

DEADLINE_S: Final = 60.0
"""Long enough for a machine under heavy load. A test that passes never waits for it."""


@overload
async def wait_for(
    condition: Callable[[], Awaitable[T | None]], what: str = ..., *, within_s: float = ..., every_s: float = ...
) -> T: ...
@overload
async def wait_for(
    condition: Callable[[], T | None], what: str = ..., *, within_s: float = ..., every_s: float = ...
) -> T: ...
async def wait_for(
    condition: Callable[[], Any], what: str = "the condition", *, within_s: float = DEADLINE_S, every_s: float = 0.01
) -> Any:
    """Evaluate `condition` until its result is truthy, and return that. Raise AssertionError after `within_s`.

    The condition is evaluated once more after the deadline: a process that was not scheduled meanwhile cannot fail.
    """
    deadline = time.monotonic() + within_s
    while True:
        is_last = time.monotonic() > deadline
        result = condition()
        found = await result if isinstance(result, Awaitable) else result
        if found:
            return found
        assert not is_last, f"{what}: not within {within_s:g} s"
        await asyncio.sleep(every_s)
