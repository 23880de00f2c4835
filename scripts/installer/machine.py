"""Checks whether this machine is supported, before anything is changed."""

import os
import platform
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from scripts.installer.steps import Problem

_OLDEST: Final = {"debian": (12,), "ubuntu": (24, 4)}
_SUPPORTED: Final = "Debian 12 and later and Ubuntu 24.04 and later"


def check_machine(*, force: bool) -> None:
    """Raise `Problem` for what is missing; `force` accepts any distribution."""
    if os.geteuid() != 0:
        raise Problem("this needs root", "run it with sudo")
    if not force and (problem := distribution_problem(_os_release())):
        raise Problem(problem, "--force tries it all the same")
    if not Path("/run/systemd/system").is_dir():
        raise Problem("systemd does not run here", "the service is started by it: docs/install.md has the other ways")
    check_python()


def check_python() -> None:
    """Raise `Problem` where this Python cannot make virtual environments."""
    if find_spec("ensurepip") is None or find_spec("venv") is None:
        raise Problem("this Python makes no virtual environments", "apt-get install python3-venv")


def distribution_problem(release: Mapping[str, str]) -> str | None:
    """What is wrong with the distribution that /etc/os-release describes so; None where it is supported."""
    name = release.get("PRETTY_NAME") or release.get("NAME") or "an unknown system"
    oldest = _OLDEST.get(release.get("ID", ""))
    if oldest is None:
        return f"this is {name}; tested are {_SUPPORTED}"
    if version := release.get("VERSION_ID"):  # Debian's testing has none
        numbers = tuple(int(part) if part.isdecimal() else 0 for part in version.split("."))
        if numbers < oldest:
            return f"{name} is too old; tested are {_SUPPORTED}"
    return None


def described() -> str:
    """The distribution, Python's version and the architecture."""
    release = _os_release()
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{release.get('PRETTY_NAME', 'unknown system')}, Python {python}, {platform.machine()}"


def _os_release() -> Mapping[str, str]:
    try:
        return platform.freedesktop_os_release()
    except OSError:
        return {}
