"""The units on disk, and the systemctl commands for them."""

import tomllib
from pathlib import Path
from typing import Final

from scripts.installer.layout import REDIS, RESTART, SERVICE, SOCKET, STANDBY, Layout
from scripts.installer.probe import Address
from scripts.installer.steps import Problem, Steps, ask, run, write_file

_SAID_LINES: Final = 12
_LOOPBACK: Final = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "::1"}


def shipped(folder: Path) -> list[Path]:
    """The units of a version. Its drop-ins are examples and are not installed."""
    return sorted([*folder.glob("*.service"), *folder.glob("*.socket")])


def place(layout: Layout, folder: Path, before: Path | None, steps: Steps) -> bool:
    """Install the units of `folder`, and remove those that only `before` has. Return whether anything changed.

    A unit that the administrator edited is kept as UNIT.old. Drop-ins, which are the place for edits, stay.
    """
    changed = False
    for unit in shipped(folder):
        installed = layout.units / unit.name
        if installed.is_file() and installed.read_bytes() == unit.read_bytes():
            continue
        if installed.exists() and (before is None or not _same(installed, before / unit.name)):
            steps.warn(f"{installed} was edited, and is kept as {unit.name}.old: changes belong into drop-ins")
            steps.take(f"keeping {unit.name}.old", _keep, installed)
        steps.take(f"installing {installed}", write_file, installed, unit.read_bytes())
        changed = True
    gone = {unit.name for unit in shipped(before)} - {unit.name for unit in shipped(folder)} if before else set()
    for name in sorted(gone):
        steps.take(f"removing {layout.units / name}", (layout.units / name).unlink, missing_ok=True)
        changed = True
    if changed:
        steps.take("systemctl daemon-reload", run, "systemctl", "daemon-reload")
    return changed


def is_active(unit: str) -> bool:
    return ask("systemctl", "is-active", "--quiet", unit).returncode == 0


def is_enabled(unit: str) -> bool:
    return ask("systemctl", "is-enabled", "--quiet", unit).returncode == 0


def main_pid() -> str:
    """The service's main process id; "0" where it does not run."""
    return ask("systemctl", "show", "--property=MainPID", "--value", SERVICE).stdout.strip()


def start(unit: str) -> None:
    """Raise `Problem` with the end of the unit's log where it does not become ready."""
    if ask("systemctl", "start", unit).returncode:
        raise _not_started(unit)


def restart() -> None:
    """Restart while a stand-by serves. Raise `Problem` where that does not start: the server runs on as it was."""
    ask("systemctl", "reset-failed", RESTART, STANDBY)
    if ask("systemctl", "start", RESTART).returncode:
        raise _not_started(SERVICE if is_active(STANDBY) else STANDBY)


def stop_standby() -> None:
    """systemd would try to start it for ever."""
    ask("systemctl", "stop", STANDBY)
    ask("systemctl", "reset-failed", STANDBY, RESTART)


def reload() -> None:
    """Make the server read its keys again."""
    run("systemctl", "reload", SERVICE)


def stop_everything() -> None:
    """Stop the socket first, because a connection would start the service again."""
    run("systemctl", "disable", "--now", SOCKET, SERVICE)
    ask("systemctl", "stop", RESTART, "aiostream-server@*.service")
    stop_redis()


def stop_redis() -> None:
    """For good. It may not be there."""
    ask("systemctl", "disable", "--now", REDIS)


def address(layout: Layout) -> Address:
    """The socket's first address; a wildcard becomes loopback."""
    for line in ask("systemctl", "show", "--property=Listen", "--value", SOCKET).stdout.splitlines():
        listening, _, kind = line.strip().partition(" ")
        host, colon, port = listening.rpartition(":")
        if kind == "(Stream)" and listening.startswith("/"):
            return Address(unix=listening)
        if kind == "(Stream)" and colon and port.isdecimal():
            return Address(_LOOPBACK.get(host, host.strip("[]")), int(port), tls=_speaks_tls(layout))
    raise Problem(f"{SOCKET} listens nowhere", f"systemctl cat {SOCKET} shows what it was told")


def _speaks_tls(layout: Layout) -> bool:
    try:
        server = tomllib.loads(layout.config.read_text("utf-8")).get("server", {})
    except (OSError, ValueError):
        return False
    return isinstance(server, dict) and "tls_certificate" in server


def remove(layout: Layout, folder: Path) -> None:
    """Remove the units, not the administrator's drop-ins."""
    for unit in shipped(folder):
        (layout.units / unit.name).unlink(missing_ok=True)
    run("systemctl", "daemon-reload")


def _not_started(unit: str) -> Problem:
    ask("journalctl", "--sync")
    # More than --unit shows: what systemd's short-lived children say of the unit, such as "Address already in use".
    written = (f"UNIT={unit}", "+", f"_SYSTEMD_UNIT={unit}")
    journal = ask("journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={_SAID_LINES}", *written)
    words = "\n".join(f"    {line}" for line in journal.stdout.splitlines())
    return Problem(f"{unit} does not start; its last words:\n{words}")


def _same(one: Path, other: Path) -> bool:
    return other.is_file() and one.read_bytes() == other.read_bytes()


def _keep(unit: Path) -> None:
    unit.replace(unit.with_name(f"{unit.name}.old"))
