"""The command line of `scripts/install`."""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from scripts.installer.extras import offered
from scripts.installer.install import install
from scripts.installer.layout import Layout
from scripts.installer.machine import check_machine, described
from scripts.installer.steps import Problem, Steps
from scripts.installer.uninstall import uninstall
from scripts.installer.upgrade import rollback, upgrade

_EXAMPLES = """examples:
  scripts/install                              builds the wheel here and fetches what it needs
  scripts/install --wheels /root/wheels        without a network: `scripts/dev/wheels DIR` has filled the folder
  scripts/install --with charts,mcp            with optional parts, which upgrades keep
  scripts/install --redis                      with a worker for each core, and a Redis that they share runs in
  scripts/install --upgrade --wheels DIR       to this version, and back by itself where it does not serve
  scripts/install --uninstall --purge          with configuration, keys and state"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Return the status: 0, 1 with a message on stderr, 2 for wrong arguments."""
    parser = _parser()
    wanted = parser.parse_args(arguments)
    if wanted.purge and not wanted.uninstall:
        parser.error("--purge goes with --uninstall")
    if wanted.extras is not None and (wanted.uninstall or wanted.rollback):
        parser.error("--with goes with an installation or an upgrade")
    if wanted.redis and (wanted.uninstall or wanted.rollback):
        parser.error("--redis goes with an installation or an upgrade")
    os.umask(0o022)  # the service runs as another user and reads what root writes
    steps, layout = Steps(dry_run=wanted.dry_run), Layout()
    try:
        check_machine(force=wanted.force)
        steps.say(f"{described()}{' (dry run: nothing is changed)' if wanted.dry_run else ''}")
        with _alone():
            _act(wanted, layout, steps)
    except Problem as problem:
        print(f"scripts/install: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nscripts/install: interrupted; the same command goes on where it stopped", file=sys.stderr)
        return 130
    return 0


def _act(wanted: argparse.Namespace, layout: Layout, steps: Steps) -> None:
    if wanted.uninstall:
        uninstall(layout, steps, purge=wanted.purge)
    elif wanted.rollback:
        rollback(layout, steps)
    elif wanted.upgrade:
        upgrade(layout, wanted.wheels, wanted.extras, steps, with_redis=wanted.redis)
    else:
        install(layout, wanted.wheels, wanted.extras, steps, with_redis=wanted.redis)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/install",
        description="Install aiostream-server as a systemd service. Run again, it adds what is missing, and no more.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verb = parser.add_mutually_exclusive_group()
    verb.add_argument("--upgrade", action="store_true", help="replace the installed version by this one")
    verb.add_argument("--rollback", action="store_true", help="go back to the version before")
    verb.add_argument("--uninstall", action="store_true", help="remove it; configuration and state stay")
    parser.add_argument("--purge", action="store_true", help="with --uninstall: configuration, keys and state, too")
    parser.add_argument("--wheels", type=Path, metavar="DIR", help="install from these wheels, without a network")
    parser.add_argument(
        "--with",
        dest="extras",
        metavar="NAMES",
        help=f"optional parts, with commas between them; upgrades keep them, but for those before none: "
        f"{', '.join(offered())}",
    )
    parser.add_argument(
        "--redis", action="store_true", help="a worker for each core, and a Redis on this machine; upgrades keep it"
    )
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument("--force", action="store_true", help="on distributions that were not tested, too")
    return parser


@contextmanager
def _alone() -> Iterator[None]:
    """Hold the lock that allows one installation at a time."""
    lock = os.open("/run/lock/aiostream-server-install", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise Problem("another scripts/install is at work on this machine") from None
    finally:
        os.close(lock)
