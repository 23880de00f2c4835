"""What handlers share: one state for each configuration, and the one that new requests are answered by.

A request keeps the state that it began with, whatever is reloaded in its middle: handlers ask `state_of`.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.intake.keys import KeyRing
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.run import RunParts
from aiostream_server.teams.catalogue import Catalogue

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerState:
    """What belongs to one configuration; the registry is the same in all. Whoever uses what `parts` hold is among
    their holders."""

    config: Config
    keys: KeyRing
    catalogue: Catalogue
    registry: Registry
    auxiliary: AuxiliaryDesk
    parts: RunParts
    started_at: int = field(default_factory=lambda: int(time.time()))


@dataclass(slots=True)
class Current:
    """The state of the moment."""

    state: ServerState

    @property
    def registry(self) -> Registry:
        return self.state.registry


STATE: Final[web.AppKey[Current]] = web.AppKey("state", Current)
REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id", str)
_HELD: Final[web.RequestKey[ServerState]] = web.RequestKey("state", ServerState)


def state_of(request: web.Request) -> ServerState:
    """The state that this request began with. Needs `hold_state`."""
    return request[_HELD]


@web.middleware
async def hold_state(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Around every handler that asks for the state: what it uses stays open until it is done."""
    state = request[_HELD] = request.app[STATE].state
    with state.parts.holders.holding():
        return await handler(request)
