"""`GET /healthz` and `GET /readyz`: no key needed, nothing secret told."""

from typing import Final, Protocol

from aiohttp import web

from aiostream_server.web.state import STATE
from aiostream_server.web.traffic import TRAFFIC


class LoopLag(Protocol):
    """How late the event loop comes to what is due. In seconds."""

    @property
    def last_s(self) -> float: ...

    @property
    def max_s(self) -> float:
        """Of the last minute."""


LOOP_LAG: Final[web.AppKey[LoopLag]] = web.AppKey("loop_lag")
"""Set by whoever measures it; else `/readyz` does not tell it."""


async def healthz(_: web.Request) -> web.Response:
    """The process lives and its event loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether new questions should come here, and how busy it is; 503 from the first signal to stop on."""
    registry = request.app[STATE].registry
    phase = "draining" if registry.is_closing else request.app[TRAFFIC].phase
    vitals: dict[str, object] = {
        "status": phase,
        "live_runs": len(registry),
        "viewers": registry.viewers,
        "queued": registry.queued,
    }
    if (lag := request.app.get(LOOP_LAG)) is not None:
        vitals |= {"loop_lag_s": round(lag.last_s, 4), "loop_lag_max_s": round(lag.max_s, 4)}
    return web.json_response(vitals, status=200 if phase == "ready" else 503)
