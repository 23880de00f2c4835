"""The process: start, serve until a signal, end every stream properly, stop."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.service.sockets import listen
from aiostream_server.web.app import create_app

_KEEPALIVE_S: Final = 75.0
_SHUTDOWN_S: Final = 5.0  # for what is left once every run has ended: the last bytes of the streams
_EXIT_BY_SECOND_SIGNAL: Final = 130

_log = structlog.get_logger()


async def serve(config: Config, *, state_directory: Path, on_ready: Callable[[str], None]) -> None:
    """Serve until SIGTERM or SIGINT; `on_ready` is told the base URL once connections are accepted.

    Raises `ConfigError` for what cannot be served, an address that cannot be bound included.
    """
    runner = web.AppRunner(
        create_app(config, state_directory=state_directory),
        handler_cancellation=True,  # a client that leaves is noticed at once, not at the next write
        auto_decompress=False,  # compressed bodies are refused; decoding broken ones logs a traceback each
        access_log=None,
        keepalive_timeout=_KEEPALIVE_S,
        shutdown_timeout=_SHUTDOWN_S,
    )
    stop = _stop_on_signals()
    await runner.setup()
    try:
        url = await _listen(runner, config.server.host, config.server.port)
        _log.info("server_ready", url=url)
        on_ready(url)
        await stop.wait()
        _log.info("server_stopping")
    finally:
        await runner.cleanup()


async def _listen(runner: web.AppRunner, host: str, port: int) -> str:
    try:
        listening = listen(host, port)
    except OSError as exc:
        why = os.strerror(exc.errno) if exc.errno else str(exc)
        raise ConfigError([f"[server] cannot listen on {host} port {port}: {why}"]) from exc
    await web.SockSite(runner, listening).start()
    bound_port: int = listening.getsockname()[1]
    return f"http://{f'[{host}]' if ':' in host else host}:{bound_port}"


def _stop_on_signals() -> asyncio.Event:
    """The first signal asks for an orderly end; a second one does not wait for it."""
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(_EXIT_BY_SECOND_SIGNAL)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    return stop
