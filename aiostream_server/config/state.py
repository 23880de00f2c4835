"""Where the server keeps what it makes itself: `$STATE_DIRECTORY` under systemd, else the XDG state directory.

https://specifications.freedesktop.org/basedir-spec/latest/
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

_FOLDER: Final = "aiostream-server"


def state_directory(environ: Mapping[str, str]) -> Path:
    """The folder, which may not exist yet. systemd may name several, separated by colons: the first is ours."""
    if given := environ.get("STATE_DIRECTORY"):
        return Path(given.partition(":")[0])
    home = environ.get("XDG_STATE_HOME", "")
    base = Path(home) if home.startswith("/") else Path(environ.get("HOME", "/tmp")) / ".local" / "state"  # noqa: S108
    return base / _FOLDER
