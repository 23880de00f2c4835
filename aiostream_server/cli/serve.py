"""`aiostream-server serve`: the server itself, or the parent of several."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
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
from aiostream_server.service.signals import stop_within_s
from aiostream_server.service.sockets import bind, url_of
from aiostream_server.service.workers import NOT_SHARED
from aiostream_server.service.workers.line import WorkersEnd
from aiostream_server.service.workers.seat import Seat
from aiostream_server.service.workers.supervisor import Supervisor

_log = structlog.get_logger()


@click.command()
@config_option
@click.option("--worker", type=(int, int, int, int), hidden=True)
def serve(config_path: Path | None, worker: tuple[int, int, int, int] | None) -> None:
    """Serve until SIGTERM or Ctrl-C, which end every open stream properly; a second one ends at once.

    `--worker` is for the server's own use: a number, and descriptors that are inherited.
    """
    if worker is not None:
        _work(config_path, *worker)
        return
    config = load_config(config_path, os.environ)
    configure_logging(config.server.log_level, config.server.log_format)
    _check_keys(config)
    for note in config.notes:
        _log.info("config_note", note=note)
    if config.server.workers == 1:
        find_modules_beside(config_path)
        _run(config, _say_ready)
    else:
        sys.exit(_supervise(config))


def _supervise(config: Config) -> int:
    """The process's status."""
    _log.warning("workers_do_not_share_runs", workers=config.server.workers, note=NOT_SHARED)
    listening = bind(config.server)
    url = url_of(listening, config.server.host)
    supervisor = Supervisor(listening, config.server.workers, _command, stop_within_s=stop_within_s(config.server))
    return supervisor.run(lambda: _say_ready(url))


def _command(*worker: int) -> Sequence[str]:
    """This command again, as it was given, and as a worker."""
    return [sys.executable, *sys.orig_argv[1:], "--worker", *map(str, worker)]


def _work(config_path: Path | None, number: int, listening: int, line: int, loads: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the terminal; the parent gets it, too
    parent = WorkersEnd(socket.socket(fileno=line))
    try:
        config = load_config(config_path, os.environ)
        find_modules_beside(config_path)
        configure_logging(config.server.log_level, config.server.log_format, worker=number)
        _run(config, lambda _: parent.tell_ready(), Seat.take(number, listening, loads))
    except ConfigError as exc:
        parent.tell_problems(exc.problems)
        sys.exit(1)


def _run(config: Config, on_ready: Callable[[str], object], seat: Seat | None = None) -> None:
    from aiostream_server.service.server import serve  # loads the agents' libraries: the parent needs none of them

    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        runner.run(serve(config, state_directory=state_directory(os.environ), on_ready=on_ready, seat=seat))


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
    _log.info("server_ready", url=url)
    click.echo(f"serving {url}/v1", err=True)
