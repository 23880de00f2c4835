"""`scripts/install --redis`: all cores of this machine, with a Redis of the server's own that workers share runs in.

The Redis is the distribution's program in a unit of this server, on a unix socket that only the server's user may open.
Once it is enabled, upgrades keep it like everything else.
"""

import os
import re
import shutil
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from scripts.installer import units
from scripts.installer.layout import REDIS, Layout
from scripts.installer.steps import Problem, Steps, run, write_file

EXTRA: Final = "redis"
URL: Final = "unix:///run/aiostream-server-redis/redis.sock"
_PROGRAMS: Final = ("redis-server", "valkey-server")
_OLDEST: Final = (6, 2)
_VERSION: Final = re.compile(r"\bv=(\d+)\.(\d+)")
_SERVER: Final = re.compile(r"^\[server\][ \t]*(#.*)?$", re.MULTILINE)
_RUNS: Final = f"""
# Workers share their runs in the Redis of aiostream-server-redis.service: docs/cluster.md.
[runs]
store = "redis"
redis_url = "{URL}"
"""


def check_program() -> None:
    """Raise `Problem` where this machine has no Redis or Valkey that is new enough."""
    program = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        raise Problem(
            "--redis needs the program redis-server or valkey-server",
            "apt-get install redis-server; the service that comes with it is not needed: "
            "systemctl disable --now redis-server",
        )
    said = run(program, "--version")
    found = _VERSION.search(said)
    if found is not None and (int(found[1]), int(found[2])) < _OLDEST:
        raise Problem(f"{program} is too old: {found[1]}.{found[2]}, and 6.2 is the oldest that works")


def set_up(layout: Layout, steps: Steps) -> None:
    """Start the Redis, once its unit is in place, now and with the server from now on; and configure it."""
    if not units.is_enabled(REDIS):
        steps.take(f"systemctl enable {REDIS}", run, "systemctl", "enable", REDIS)
    if not units.is_active(REDIS):
        steps.take(f"systemctl start {REDIS}", units.start, REDIS)
    configure(layout, steps)


@contextmanager
def taken_back_if_it_fails(layout: Layout, steps: Steps) -> Iterator[None]:
    """Restore the configuration, and stop a Redis that did not run before, where the block fails."""
    config, was_enabled = layout.config.read_bytes() if layout.config.exists() else None, units.is_enabled(REDIS)
    try:
        yield
    except BaseException:
        if config is not None and layout.config.read_bytes() != config:
            steps.say(f"restoring {layout.config}")
            write_file(layout.config, config)
        if not was_enabled:
            units.stop_redis()
        raise


def configure(layout: Layout, steps: Steps) -> None:
    """Add `[runs]` to the configuration, and `workers` where it does not say how many. Raise `Problem` where it has
    other `[runs]`."""
    text = layout.config.read_text("utf-8") if layout.config.exists() else ""  # in a dry run it may not exist
    wanted = configured(text, os.cpu_count() or 1)
    if wanted != text:
        line = f"adding [runs] store and [server] workers to {layout.config}"
        steps.take(line, write_file, layout.config, wanted.encode())


def configured(text: str, cores: int) -> str:
    """The configuration with what is missing. Raise `Problem`."""
    before = _parsed(text)
    runs, wanted = before.get("runs"), text
    if runs is None:
        wanted = f"{text.rstrip()}\n{_RUNS}" if text.strip() else _RUNS.lstrip()
    elif runs.get("store") != "redis":
        raise Problem('[runs] is in the configuration without store = "redis"', f"add to it:\n{_RUNS}")
    if "workers" not in before.get("server", {}):
        workers = f"workers = {cores} # one for each core"
        if _SERVER.search(wanted):
            wanted = _SERVER.sub(lambda found: f"{found[0]}\n{workers}", wanted, count=1)
        elif "server" not in before:
            wanted = f"{wanted.rstrip()}\n\n[server]\n{workers}\n"
    _parsed(wanted)
    return wanted


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except ValueError as exc:
        raise Problem(f"the configuration cannot be read: {exc}", "repair it, and run this again") from None
