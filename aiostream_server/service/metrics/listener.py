"""`[metrics] loopback_port`: a listener for this machine only, which asks for no key.

During a restart the former process may still drain and hold the port: binding is retried each second. The server serves
without the port meanwhile.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.errors import Forbidden
from aiostream_server.intake.keys import KeyRing
from aiostream_server.intake.loopback import check_local_host
from aiostream_server.service.sockets import listen
from aiostream_server.web.health import Exposition, expose

_HOST: Final = "127.0.0.1"
_AGAIN_S: Final = 1.0
_NO_KEYS: Final = KeyRing()

_log = structlog.get_logger()


@asynccontextmanager
async def listening(exposition: Exposition, port: int) -> AsyncIterator[None]:
    """`port` 0 is none."""
    if not port:
        yield
        return

    async def handle(request: web.Request) -> web.Response:
        try:
            check_local_host(request.headers, _NO_KEYS)
        except Forbidden as exc:
            raise web.HTTPForbidden(text=f"{exc}\n") from None
        return expose(request, exposition)

    app = web.Application()
    app.router.add_get("/metrics", handle)
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=0.05)
    await runner.setup()
    starting = asyncio.create_task(_start(runner, port), name="metrics-listener")
    try:
        yield
    finally:
        starting.cancel()
        await asyncio.wait({starting})
        await runner.cleanup()


async def _start(runner: web.AppRunner, port: int) -> None:
    is_told = False
    while True:
        try:
            bound = listen(_HOST, port)
        except OSError as exc:
            if not is_told:
                _log.warning("metrics_port_taken", port=port, reason=(exc.strerror or "cannot be bound").lower())
            is_told = True
            await asyncio.sleep(_AGAIN_S)  # the former process may still hold the port
        else:
            await web.SockSite(runner, bound).start()
            _log.info("metrics_listening", url=f"http://{_HOST}:{port}/metrics")
            return
