"""How a server stops, in three phases with time limits. No accepted request is cut off in the first two.

lame duck   `/readyz` answers 503, everything else is answered: load balancers have `lame_duck_s` to notice.
            With adopted sockets nothing new is accepted already, and connections are not kept alive.
draining    nothing new is taken. Within `drain_s` bodies on their way are read, runs may finish, and turns that could
            not be written before are written
ending      runs that are still live are interrupted, and their streams are written to their ends
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.config.model import ServerConfig
from aiostream_server.service.composition import GENERATIONS
from aiostream_server.service.signals import lame_duck_s
from aiostream_server.web.state import STATE
from aiostream_server.web.traffic import TRAFFIC

_BODIES_S: Final = 2.0
_ENDING_S: Final = 0.9
_POLL_S: Final = 0.02

_log = structlog.get_logger()


async def drain(runner: web.AppRunner, server: ServerConfig, *, is_adopted: bool = False) -> None:
    """Let everything finish that has begun. Returns when all is done, or when `drain_s` is over.

    `is_adopted`: the listening sockets stay open, and the next process accepts new connections.
    """
    traffic, registry = runner.app[TRAFFIC], runner.app[STATE].registry
    traffic.phase = "lame_duck"
    _log.info("server_stopping", live_runs=len(registry), lame_duck_s=server.lame_duck_s, drain_s=server.drain_s)
    if is_adopted:
        await _hand_over(runner, lame_duck_s(server, is_adopted=True))
    else:
        await asyncio.sleep(server.lame_duck_s)  # load balancers need the time to notice
        await _stop_accepting(runner)
    traffic.drain(bodies_within_s=_BODIES_S)
    try:
        async with asyncio.timeout(server.drain_s):
            await traffic.until_quiet()  # first: requests that wait for a slot start runs
            await registry.drain()
            await _until_written(runner)
            await runner.app[GENERATIONS].conversations.settle()  # turns that could not be written before
    except TimeoutError:
        _log.warning("drain_cut_short", live_runs=len(registry), bodies=traffic.bodies)


async def end(runner: web.AppRunner) -> None:
    """Interrupt the runs that are left, and write their streams to the end."""
    started_at = time.monotonic()
    traffic, registry = runner.app[TRAFFIC], runner.app[STATE].registry
    live_runs = len(registry)
    traffic.drain(bodies_within_s=0.0)
    try:
        async with asyncio.timeout(_ENDING_S):
            await registry.close()
            await _until_written(runner)
    except TimeoutError:
        _log.warning("clients_cut_off")  # clients read slowly, or runs ignore their cancellation
    _log.info("server_ended", interrupted_runs=live_runs, ending_s=round(time.monotonic() - started_at, 3))


async def _stop_accepting(runner: web.AppRunner) -> None:
    for site in runner.sites:
        await site.stop()


async def _hand_over(runner: web.AppRunner, within_s: float) -> None:
    """Accept nothing more, and answer the requests on accepted connections; each is closed after its answer."""
    await _stop_accepting(runner)
    runner.app[TRAFFIC].keeps_connections = False
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            while _connections(runner):  # noqa: ASYNC110 - aiohttp has no event for it
                await asyncio.sleep(_POLL_S)
    for connection in _connections(runner):  # a client would send its next request on an idle one, and get no answer
        if not runner.app[TRAFFIC].is_busy(connection):
            connection.force_close()


async def _until_written(runner: web.AppRunner) -> None:
    """Wait until every answer has left the process: for a slow client that is later than the last write."""
    await runner.app[TRAFFIC].until_quiet()
    while any(map(_has_unsent_bytes, _connections(runner))):  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(_POLL_S)


def _connections(runner: web.AppRunner) -> Sequence[web.RequestHandler]:
    return runner.server.connections if runner.server is not None else ()


def _has_unsent_bytes(connection: web.RequestHandler) -> bool:
    return connection.transport is not None and connection.transport.get_write_buffer_size() > 0
