"""What handlers are given: one state for each configuration, and the one that new requests are answered with.

`service.composition` makes them. A request keeps the state that it began with, even if a reload replaces it meanwhile:
handlers ask `state_of`.
"""

import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.intake.keys import KeyRing
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.request import RunResources
from aiostream_server.teams.catalogue import Catalogue
from aiostream_server.web.lasting import UntilWritten

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class ServerState:
    """What belongs to one configuration; the registry is the same in all. `resources.references` keep it open."""

    config: Config
    keys: KeyRing
    catalogue: Catalogue
    registry: Registry
    auxiliary: AuxiliaryDesk
    resources: RunResources
    started_at: int = field(default_factory=lambda: int(time.time()))


@dataclass(slots=True)
class CurrentState:
    """The state that new requests begin with. A reload replaces it."""

    state: ServerState

    @property
    def registry(self) -> Registry:
        return self.state.registry


OpenState: TypeAlias = Callable[[web.Application], AbstractAsyncContextManager[CurrentState]]
"""Opens everything that an app needs, and closes it at the end."""

STATE: Final[web.AppKey[CurrentState]] = web.AppKey("state", CurrentState)
REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id", str)
_HELD: Final[web.RequestKey[ServerState]] = web.RequestKey("state", ServerState)


def state_of(request: web.Request) -> ServerState:
    """The state that this request began with. Needs `hold_state`."""
    return request[_HELD]


@web.middleware
async def hold_state(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep the state open until the answer is written."""
    state = request[_HELD] = request.app[STATE].state
    with UntilWritten(state.resources.references) as until:
        return until.written(await handler(request))
