"""What handlers share, under one key of the app."""

import time
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.intake.keys import KeyRing
from aiostream_server.routing.auxiliary.desk import AuxiliaryDesk
from aiostream_server.runs.registry import Registry
from aiostream_server.teams.catalogue import Catalogue


@dataclass(frozen=True, slots=True)
class ServerState:
    """Opened at start-up, closed at cleanup."""

    config: Config
    keys: KeyRing
    catalogue: Catalogue
    registry: Registry
    auxiliary: AuxiliaryDesk
    started_at: int = field(default_factory=lambda: int(time.time()))


STATE: Final[web.AppKey[ServerState]] = web.AppKey("state", ServerState)
REQUEST_ID: Final[web.RequestKey[str]] = web.RequestKey("request_id", str)
