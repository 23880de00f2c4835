"""`aiostream-server serve`: the server itself, or the parent of several."""

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click
import structlog

from aiostream_server.cli.handed import Handed
from aiostream_server.cli.options import config_option, find_modules_beside
from aiostream_server.config.environment import state_directory
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.intake.loopback import bind_problem
from aiostream_server.service.logging import configure_logging
from aiostream_server.service.overseer import Overseer
from aiostream_server.service.signals import outlive_hangups, stop_within_s
from aiostream_server.service.sockets import Listening, bind
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.workers import NOT_SHARED
from aiostream_server.service.workers.line import WorkersEnd
from aiostream_server.service.workers.seat import Seat
from aiostream_server.service.workers.supervisor import Supervisor

_log = structlog.get_logger()


@click.command()
@config_option
@click.option("--watch", is_flag=True, help="Reload when the file, a team or a key has changed: [server] watch.")
@click.option("--worker", type=int, multiple=True, hidden=True)
def serve(config_path: Path | None, watch: bool, worker: tuple[int, ...]) -> None:
    """Serve until SIGTERM or Ctrl-C, which end every open stream properly; a second one ends at once.

    SIGHUP loads the configuration again: teams, their own code, models, keys and limits, and drops nobody.
    """
    outlive_hangups()
    load = partial(_load, config_path, watch)
    if worker:
        _work(config_path, load, *worker)
        return
    with closing(Handed.take(os.environ)) as handed:
        _serve(config_path, load, handed)


def _load(config_path: Path | None, watch: bool) -> Config:
    config = load_config(config_path, os.environ)
    server = config.server.model_copy(update={"watch": config.server.watch or watch})
    return config.model_copy(update={"server": server})


def _serve(config_path: Path | None, load: Callable[[], Config], handed: Handed) -> None:
    config = load()
    configure_logging(config.server.log_level, config.server.log_format, traced=config.tracing.enabled)
    _check_keys(config, handed.listening)
    _check_certificate(config)
    for note in config.notes:
        _log.info("config_note", note=note)
    if handed.listening is not None:
        _log.info("sockets_adopted", urls=handed.listening.urls(config.server))
    if config.server.workers == 1:
        find_modules_beside(config_path)
        seat = None if handed.listening is None else Seat.alone(handed.listening)
        _run(config, config_path, load, _say_ready, handed.manager, seat)
    else:
        sys.exit(_supervise(config, handed))


def _supervise(config: Config, handed: Handed) -> int:
    """The process's status."""
    _log.warning("workers_do_not_share_runs", workers=config.server.workers, note=NOT_SHARED)
    listening = handed.listening or bind(config.server)
    url = listening.urls(config.server)[0]
    within_s = stop_within_s(config.server, is_adopted=listening.is_adopted)
    supervisor = Supervisor(listening, config.server.workers, _command, stop_within_s=within_s, manager=handed.manager)
    return supervisor.run(lambda: _say_ready(url))


def _command(*worker: int) -> Sequence[str]:
    """This command again, as it was given, and as a worker."""
    return [sys.executable, *sys.orig_argv[1:], *(f"--worker={number}" for number in worker)]


def _work(
    config_path: Path | None,
    load: Callable[[], Config],
    number: int,
    line: int,
    loads: int,
    is_adopted: int,
    *listening: int,
) -> None:
    """Its number, and descriptors that are inherited."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # from the terminal; the parent gets it, too
    parent = WorkersEnd(socket.socket(fileno=line))
    try:
        config = load()
        find_modules_beside(config_path)
        traced = config.tracing.enabled
        configure_logging(config.server.log_level, config.server.log_format, worker=number, traced=traced)
        seat = Seat.take(number, loads, bool(is_adopted), listening)
        _run(config, config_path, load, lambda _: None, parent, seat)
    except ConfigError as exc:
        parent.tell_problems(exc.problems)
        sys.exit(1)


def _run(
    config: Config,
    config_path: Path | None,
    load: Callable[[], Config],
    on_ready: Callable[[str], object],
    overseer: Overseer,
    seat: Seat | None,
) -> None:
    from aiostream_server.service.server import serve  # loads the agents' libraries: the parent needs none of them

    with asyncio.Runner(loop_factory=_loop_factory(config)) as runner:
        serving = serve(
            config,
            state_directory=state_directory(os.environ),
            on_ready=on_ready,
            seat=seat,
            overseer=overseer,
            load=load,
            config_path=config_path,
        )
        runner.run(serving)
    gc.freeze()  # the interpreter ends: it need not look through everything once more


def _check_keys(config: Config, adopted: Listening | None) -> None:
    """Without keys, for this machine only: and said so. Of adopted sockets each is looked at."""
    keys = KeyRing.load(config.auth.keys_file)
    hosts = (config.server.host,) if adopted is None else adopted.hosts
    if problems := [problem for host in hosts if (problem := bind_problem(host, keys))]:
        raise ConfigError(problems)
    if not keys:
        _log.warning("serving_without_keys", host=", ".join(hosts), note="only this machine is answered")


def _check_certificate(config: Config) -> None:
    """Before anything else is loaded, and where there are workers, once."""
    certificate = Certificate.of(config.server)
    if certificate is not None and (note := certificate.expiry_note(datetime.now(UTC))):
        _log.warning("certificate_expires_soon", note=note)


def _loop_factory(config: Config) -> "type[asyncio.AbstractEventLoop] | None":
    if config.server.loop == "asyncio":
        return None
    import uvloop

    return uvloop.Loop


def _say_ready(url: str) -> None:
    _log.info("server_ready", url=url)
    click.echo(f"serving {url}/v1", err=True)
