"""`aiostream-server serve`: the server, or the parent of several workers."""

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

from aiostream_server.cli.options import config_option, find_modules_beside
from aiostream_server.config.environment import state_directory
from aiostream_server.config.load import load_config
from aiostream_server.config.model import Config
from aiostream_server.errors import ConfigError
from aiostream_server.intake.keys import KeyRing
from aiostream_server.intake.loopback import bind_problem
from aiostream_server.service.logging import configure_logging
from aiostream_server.service.output import queue_output
from aiostream_server.service.signals import outlive_hangups, stop_within_s
from aiostream_server.service.sockets import Listening, bind
from aiostream_server.service.status import StatusReceiver
from aiostream_server.service.systemd import SystemdEnvironment
from aiostream_server.service.tls.certificate import Certificate
from aiostream_server.service.workers import NOT_SHARED
from aiostream_server.service.workers.channel import ParentChannel
from aiostream_server.service.workers.pages import WorkerPages
from aiostream_server.service.workers.peers import WorkerPeers
from aiostream_server.service.workers.share import SocketShare
from aiostream_server.service.workers.supervisor import Supervisor

_log = structlog.get_logger()


@click.command()
@config_option
@click.option("--watch", is_flag=True, help="Reload when the file, a team or a key has changed: [server] watch.")
@click.option("--worker", type=int, multiple=True, hidden=True)
def serve(config_path: Path | None, watch: bool, worker: tuple[int, ...]) -> None:
    """Serve until SIGTERM or Ctrl-C. Runs may finish within [server] drain_s; a second signal ends at once.

    SIGHUP loads the configuration again: teams, their own code, models, keys and limits. No run is interrupted.
    """
    outlive_hangups()
    load = partial(_load, config_path, watch)
    if worker:
        _work(config_path, load, *worker)
        return
    with closing(SystemdEnvironment.take(os.environ)) as systemd:
        try:
            _serve(config_path, load, systemd)
        except ConfigError as exc:
            systemd.manager.failed_to_start("; ".join(exc.problems))
            raise
        except Exception as exc:  # whatever it is, the service manager is told why the start failed
            systemd.manager.failed_to_start(f"{type(exc).__name__}: {exc}")
            raise


def _load(config_path: Path | None, watch: bool) -> Config:
    config = load_config(config_path, os.environ)
    server = config.server.model_copy(update={"watch": config.server.watch or watch})
    return config.model_copy(update={"server": server})


def _serve(config_path: Path | None, load: Callable[[], Config], systemd: SystemdEnvironment) -> None:
    config = load()
    queue_output()
    configure_logging(config.server.log_level, config.server.log_format, traced=config.tracing.enabled)
    _check_keys(config, systemd.listening)
    _check_certificate(config)
    for note in config.notes:
        _log.info("config_note", note=note)
    if systemd.listening is not None:
        _log.info("sockets_adopted", urls=systemd.listening.urls(config.server))
    if config.server.workers == 1:
        find_modules_beside(config_path)
        share = None if systemd.listening is None else SocketShare.without_workers(systemd.listening)
        _run(config, config_path, load, _say_ready, systemd.manager, share)
    else:
        sys.exit(_supervise(config, systemd))


def _supervise(config: Config, systemd: SystemdEnvironment) -> int:
    """Run the workers, and return the exit status."""
    if not config.runs.is_shared:
        _log.warning("workers_do_not_share_runs", workers=config.server.workers, note=NOT_SHARED)
    listening = systemd.listening or bind(config.server)
    url = listening.urls(config.server)[0]
    within_s = stop_within_s(config, is_adopted=listening.is_adopted)
    supervisor = Supervisor(listening, config.server.workers, _command, stop_within_s=within_s, manager=systemd.manager)
    return supervisor.run(lambda: _say_ready(url))


def _command(*worker: int) -> Sequence[str]:
    """The command line of a worker: this command's own, and descriptors."""
    return [sys.executable, *sys.orig_argv[1:], *(f"--worker={number}" for number in worker)]


def _work(
    config_path: Path | None,
    load: Callable[[], Config],
    number: int,
    channel: int,
    counts: int,
    pages: int,
    is_adopted: int,
    *listening: int,
) -> None:
    """Serve as a worker. The integers are its number and inherited descriptors, as in `workers.process.Command`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the parent, too, which ends its workers
    parent = ParentChannel(socket.socket(fileno=channel))
    try:
        config = load()
        find_modules_beside(config_path)
        traced = config.tracing.enabled
        queue_output()
        configure_logging(config.server.log_level, config.server.log_format, worker=number, traced=traced)
        share = SocketShare.inherited(number, counts, bool(is_adopted), listening)
        peers = WorkerPeers(number, WorkerPages.inherited(pages), parent)
        _run(config, config_path, load, lambda _: None, parent, share, peers)
    except ConfigError as exc:
        parent.tell_problems(exc.problems)
        sys.exit(1)


def _run(
    config: Config,
    config_path: Path | None,
    load: Callable[[], Config],
    on_ready: Callable[[str], object],
    receiver: StatusReceiver,
    share: SocketShare | None,
    peers: WorkerPeers | None = None,
) -> None:
    # These load the agents' libraries, which a parent does not need.
    from aiostream_server.service.server import serve
    from aiostream_server.service.steady_loop import run_to_its_end

    serving = serve(
        config,
        state_directory=state_directory(os.environ),
        on_ready=on_ready,
        share=share,
        peers=peers,
        receiver=receiver,
        load=load,
        config_path=config_path,
    )
    run_to_its_end(serving, _loop_factory(config))
    gc.freeze()  # saves a last collection when the interpreter ends


def _check_keys(config: Config, adopted: Listening | None) -> None:
    """Without keys only loopback addresses may be served. Checks each adopted socket. Warns if there are no keys."""
    keys = KeyRing.load(config.auth.keys_file)
    hosts = (config.server.host,) if adopted is None else adopted.hosts
    if problems := [problem for host in hosts if (problem := bind_problem(host, keys))]:
        raise ConfigError(problems)
    if not keys:
        _log.warning("serving_without_keys", host=", ".join(hosts), note="only this machine is answered")


def _check_certificate(config: Config) -> None:
    """Check the certificate before anything is loaded. The parent does it for all workers."""
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
