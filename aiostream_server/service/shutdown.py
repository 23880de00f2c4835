"""How a server stops, in phases with time limits. No accepted request is cut off in any but the last.

lame duck   `/readyz` answers 503, everything else is answered: load balancers have `lame_duck_s` to notice.
            With adopted sockets nothing new is accepted already; else what waits in the kernel to be accepted is,
            before the sockets are closed: a busy event loop is behind it.
hand-over   where others take new connections (with adopted sockets, or with shared runs): what comes on accepted ones
            is answered, and they are not kept alive. Lasts until the last is closed, or until the end of `drain_s`
draining    nothing new is taken. Within `drain_s` bodies on their way are read, runs may finish, and turns that could
            not be written before are written
ending      runs that are still live are interrupted, and their streams are written to their ends
"""

import asyncio
import select
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.service.composition import GENERATIONS
from aiostream_server.service.signals import hand_over_s, lame_duck_s
from aiostream_server.service.sockets import Listening
from aiostream_server.web.state import STATE
from aiostream_server.web.traffic import TRAFFIC
from aiostream_server.web.undocumented import connection_of

_BODIES_S: Final = 2.0
_ENDING_S: Final = 0.9
_ACCEPTING_S: Final = 1.0
_TURNS: Final = 10  # of the event loop, until it has read what came with a connection that it has accepted
_POLL_S: Final = 0.02

_log = structlog.get_logger()


async def drain(runner: web.AppRunner, config: Config, listening: Listening) -> None:
    """Let everything finish that has begun. Returns when all is done, or when `drain_s` is over.

    Adopted sockets stay open, and the next process accepts new connections.
    """
    server, is_adopted = config.server, listening.is_adopted
    traffic, registry = runner.app[TRAFFIC], runner.app[STATE].registry
    traffic.phase = "lame_duck"
    _log.info("server_stopping", live_runs=len(registry), lame_duck_s=server.lame_duck_s, drain_s=server.drain_s)
    await asyncio.sleep(lame_duck_s(config, is_adopted=is_adopted))  # load balancers need the time to notice
    handing_s = hand_over_s(config, is_adopted=is_adopted)
    ends_at = asyncio.get_running_loop().time() + handing_s + server.drain_s
    if not is_adopted:
        await _accept_waiting(listening, min(_ACCEPTING_S, server.drain_s))
    for site in runner.sites:
        await site.stop()
    try:
        async with asyncio.timeout_at(ends_at):
            if handing_s:
                await _hand_over(runner, handing_s)
            traffic.drain(bodies_within_s=_BODIES_S)
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


async def _accept_waiting(listening: Listening, within_s: float) -> None:
    """Let the event loop accept the connections that are complete for their clients, and begin to read from them:
    closing the socket resets those that wait, and asyncio drops those that it has only just accepted."""
    poll = select.poll()
    for each in listening.sockets:
        poll.register(each.fileno(), select.POLLIN)
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            turns = 0
            while turns < _TURNS:
                turns = 0 if poll.poll(0) else turns + 1
                await asyncio.sleep(0)  # one turn of the loop, in which it accepts and reads


async def _hand_over(runner: web.AppRunner, idle_s: float) -> None:
    """Answer what comes on accepted connections, until each was closed: after an answer that tells the client so, or
    when it was idle for `idle_s`.

    An answer that had begun before does not tell. A proxy may send its next request at that answer's end, so that is
    not the moment to close the connection.
    """
    traffic, loop = runner.app[TRAFFIC], asyncio.get_running_loop()
    traffic.keeps_connections = False
    idle_since: dict[web.RequestHandler, float] = {}
    while connections := _connections(runner):
        busy = {connection_of(request) for request in traffic.requests}
        idle_since = {each: idle_since.get(each, loop.time()) for each in connections if each not in busy}
        for connection, since in idle_since.items():
            if loop.time() - since >= idle_s:
                connection.force_close()
        await asyncio.sleep(_POLL_S)


async def _until_written(runner: web.AppRunner) -> None:
    """Wait until every answer has left the process: for a slow client that is later than the last write."""
    await runner.app[TRAFFIC].until_quiet()
    while any(map(_has_unsent_bytes, _connections(runner))):  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(_POLL_S)


def _connections(runner: web.AppRunner) -> Sequence[web.RequestHandler]:
    return runner.server.connections if runner.server is not None else ()


def _has_unsent_bytes(connection: web.RequestHandler) -> bool:
    return connection.transport is not None and connection.transport.get_write_buffer_size() > 0
