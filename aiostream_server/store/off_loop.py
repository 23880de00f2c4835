"""Does large work in a thread, so that it does not block the other runs of this event loop."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


async def off_loop(is_large: bool, work: Callable[..., _T], *arguments: Any) -> _T:  # whatever `work` takes
    """Small work is done at once: a thread costs 0.1 ms, and tools may occupy all threads."""
    return await asyncio.to_thread(work, *arguments) if is_large else work(*arguments)
