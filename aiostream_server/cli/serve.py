"""`aiostream-server serve`: the server itself."""

import asyncio
import os
from pathlib import Path

import click
import structlog

from aiostream_server.cli.options import config_option, find_modules_beside
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config
from aiostream_server.config.state import state_directory
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.intake.loopback import bind_problem
from aiostream_server.service.logging import configure_logging
from aiostream_server.service.server import serve as run_server

_log = structlog.get_logger()


@click.command()
@config_option
def serve(config_path: Path | None) -> None:
    """Serve until SIGTERM or Ctrl-C, which end every open stream properly; a second one ends at once."""
    config = load_config(config_path, os.environ)
    find_modules_beside(config_path)
    configure_logging(config.server.log_level, config.server.log_format)
    _check_keys(config)
    for note in config.notes:
        _log.info("config_note", note=note)
    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        runner.run(run_server(config, state_directory=state_directory(os.environ), on_ready=_say_ready))


def _check_keys(config: Config) -> None:
    """Without keys, for this machine only: and said so."""
    keys = KeyRing.load(config.auth.keys_file)
    if problem := bind_problem(config.server.host, keys):
        raise ConfigError([problem])
    if not keys:
        _log.warning("serving_without_keys", host=config.server.host, note="only this machine is answered")


def _loop_factory(config: Config) -> "type[asyncio.AbstractEventLoop] | None":
    if config.server.loop == "asyncio":
        return None
    import uvloop

    return uvloop.Loop


def _say_ready(url: str) -> None:
    click.echo(f"serving {url}/v1", err=True)
