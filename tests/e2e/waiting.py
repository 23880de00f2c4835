"""Waiting for what only asking again can tell: a page, a log file, a process."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")


async def until(find: Callable[[], Awaitable[_T | None]], what: str, *, within_s: float, every_s: float = 0.05) -> _T:
    """What `find` finds, as soon as that is not None. Raises AssertionError, which says `what` did not come."""
    try:
        async with asyncio.timeout(within_s):
            while (found := await find()) is None:  # noqa: ASYNC110 - nobody would set an event
                await asyncio.sleep(every_s)
            return found
    except TimeoutError:
        raise AssertionError(f"{what}: not within {within_s:g} s") from None
