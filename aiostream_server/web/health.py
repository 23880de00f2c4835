"""`GET /healthz` and `GET /readyz`: no key needed, nothing secret told."""

from aiohttp import web

from aiostream_server.web.state import STATE


async def healthz(_: web.Request) -> web.Response:
    """The process lives and its event loop turns."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """Whether new questions are taken; 503 while shutting down."""
    registry = request.app[STATE].registry
    status = "shutting_down" if registry.is_closing else "ready"
    return web.json_response({"status": status, "live_runs": len(registry)}, status=503 if registry.is_closing else 200)
