"""The work of a reload that runs the user's code: in threads of its own, and given up where it hangs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from contextvars import copy_context
from typing import Any, Final, TypeVar

from aiostream_server.errors import ConfigError
from aiostream_server.service.slow_imports import place_of_import
from aiostream_server.teams.factories import at

WITHIN_S: Final = 50.0
"""Less than the TimeoutStartSec= of the unit, after which systemd gives a reload up."""

_Result = TypeVar("_Result")


class ReloadWork:
    """An `Offload`. Work that hangs takes no thread away from tools, and no later reload begins beside it."""

    def __init__(self, within_s: float = WITHIN_S) -> None:
        self._within_s: Final = within_s
        self._last: Future[Any] | None = None

    async def __call__(self, work: Callable[..., _Result], /, *arguments: Any) -> _Result:
        executor = ThreadPoolExecutor(1, "reload")
        future = self._last = executor.submit(copy_context().run, work, *arguments)
        executor.shutdown(wait=False)
        return await asyncio.wrap_future(future)

    @asynccontextmanager
    async def given_up_if_it_hangs(self) -> AsyncIterator[asyncio.Timeout]:
        """Raises `ConfigError` where the block takes longer than `within_s`, or where the thread of an earlier one that
        was given up still runs."""
        if self._last is not None and not self._last.done():
            raise ConfigError([f"an earlier reload hangs{at(place_of_import())}: a restart ends it"])
        try:
            async with asyncio.timeout(self._within_s) as deadline:
                yield deadline
        except TimeoutError:
            if not deadline.expired():
                raise
            place = at(place_of_import())
            raise ConfigError([f"it is not loaded after {self._within_s:g} s: code of a team hangs{place}"]) from None
