"""File descriptors: whether there are enough at the start, and that the log says when there are none.

Without a free one no connection can be accepted. asyncio's loop tries again each second, and would log a traceback each
time; uvloop closes the connections that it cannot take, and logs nothing. Both accept again as soon as they can.
"""

import asyncio
import errno
import os
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import structlog

from aiostream_server.config.model import LimitsConfig

_PER_RUN: Final = 2  # the client's connection and the provider's
_OTHERS: Final = 64  # libraries, databases, listening sockets, connections of monitoring
_POLL_S: Final = 0.5
_TELL_EVERY_S: Final = 10.0
_NONE_LEFT: Final = (errno.EMFILE, errno.ENFILE)

_log = structlog.get_logger()


def warn_of_few(limits: LimitsConfig) -> None:
    """Compare the limit of this process with what `max_runs` may need."""
    limit, needed = _limit(), _PER_RUN * limits.max_runs + _OTHERS
    if limit != resource.RLIM_INFINITY and limit < needed:
        _log.warning("descriptors_few", limit=limit, needed=needed, max_runs=limits.max_runs)


@contextmanager
def watching_accepts() -> Iterator[None]:
    """Tell of connections that the running event loop cannot accept."""
    loop = asyncio.get_running_loop()
    former = loop.get_exception_handler()
    teller = _Teller()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        exc = context.get("exception")
        if isinstance(exc, OSError) and exc.errno in _NONE_LEFT and "socket" in context:
            teller.tell(exc)
        elif former is not None:
            former(loop, context)
        else:
            loop.default_exception_handler(context)

    loop.set_exception_handler(handle)
    polling = asyncio.create_task(teller.poll(), name="descriptors")
    try:
        yield
    finally:
        polling.cancel()
        loop.set_exception_handler(former)


class _Teller:
    """Tells at most once in ten seconds that no descriptor is free."""

    def __init__(self) -> None:
        self._told_at = -_TELL_EVERY_S

    def tell(self, exc: OSError) -> None:
        now = time.monotonic()
        if now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            _log.warning("connections_not_accepted", error=exc.strerror, limit=_limit())

    async def poll(self) -> None:
        """For uvloop, which does not say that it could not accept."""
        while True:
            await asyncio.sleep(_POLL_S)  # nothing tells when descriptors run out
            try:
                os.close(os.open("/dev/null", os.O_RDONLY))
            except OSError as exc:
                if exc.errno in _NONE_LEFT:
                    self.tell(exc)


def _limit() -> int:
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
