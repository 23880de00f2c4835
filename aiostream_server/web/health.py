"""For operators: `GET /healthz`, `/readyz` and `/metrics`.

The first two need no key and reveal no secret. `/metrics` needs a key of its own scope, or none where the server has no
keys and serves only its own machine. Web pages may not read it: `web.cors` allows them no `/metrics`.
"""

from typing import Final, Protocol

from aiohttp import web

from aiostream_server.intake.loopback import check_local_host
from aiostream_server.intake.principal import authenticate
from aiostream_server.web.state import STATE, state_of
from aiostream_server.web.traffic import TRAFFIC

METRICS_PATHS: Final = ("/metrics", "/api/metrics")


class LoopLag(Protocol):
    """By how many seconds the event loop is late for what is due."""

    @property
    def last_s(self) -> float: ...

    @property
    def max_s(self) -> float:
        """The largest lag of the last minute."""


class Exposition(Protocol):
    async def render(self, accept: str) -> tuple[bytes, str]:
        """All metrics in the format that this `Accept` header asks for, and its content type."""
        ...


class SharedStatus(Protocol):
    """The status of the store in which several processes share runs."""

    @property
    def is_available(self) -> bool:
        """Whether it answers."""

    @property
    def is_ready(self) -> bool:
        """Whether new questions can be answered: it has answered once, or they need it not."""

    @property
    def outages(self) -> int:
        """How often it stopped answering since the start."""


LOOP_LAG: Final[web.AppKey[LoopLag]] = web.AppKey("loop_lag")
"""Set where the lag is measured; without it `/readyz` leaves it out."""
SHARED_RUNS: Final[web.AppKey[SharedStatus]] = web.AppKey("shared_runs")
"""Set where runs are shared."""
METRICS: Final[web.AppKey[Exposition]] = web.AppKey("metrics")
"""Set where metrics are counted; without it `/metrics` is a 404."""


async def healthz(_: web.Request) -> web.Response:
    """The process lives and its event loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether new questions should come here, and how busy the server is; 503 from the first stop signal on."""
    registry = request.app[STATE].registry
    phase = "draining" if registry.is_closing else request.app[TRAFFIC].phase
    vitals: dict[str, object] = {
        "status": phase,
        "live_runs": len(registry),
        "viewers": registry.viewers,
        "queued": registry.queued,
    }
    if (shared := request.app.get(SHARED_RUNS)) is not None:
        if phase == "ready" and not shared.is_ready:
            vitals["status"] = "waiting_for_redis"
        vitals["shared_runs"] = "ok" if shared.is_available else "unavailable"
    if (lag := request.app.get(LOOP_LAG)) is not None:
        vitals |= {"loop_lag_s": round(lag.last_s, 4), "loop_lag_max_s": round(lag.max_s, 4)}
        waits = request.app[TRAFFIC].waits
        vitals |= {"request_wait_s": round(waits.last_s, 4), "request_wait_max_s": round(waits.max_s, 4)}
    return web.json_response(vitals, status=200 if vitals["status"] == "ready" else 503)


async def read_metrics(request: web.Request) -> web.Response:
    """What Prometheus reads."""
    if METRICS not in request.app:
        raise web.HTTPNotFound
    state = state_of(request)
    check_local_host(request.headers, state.keys, request.version)
    authenticate(request.headers, state.keys, "metrics")
    return await expose(request, request.app[METRICS])


async def expose(request: web.Request, exposition: Exposition) -> web.Response:
    """The answer, once access was checked."""
    body, content_type = await exposition.render(request.headers.get("Accept", ""))
    return web.Response(body=body, headers={"Content-Type": content_type, "Cache-Control": "no-store"})
