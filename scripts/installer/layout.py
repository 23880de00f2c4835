"""The paths of an installation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOURCE: Final = Path(__file__).resolve().parents[2]
"""The source tree that this script belongs to."""

SERVICE: Final = "aiostream-server.service"
SOCKET: Final = "aiostream-server.socket"
STANDBY: Final = "aiostream-server@standby.service"
REDIS: Final = "aiostream-server-redis.service"
RESTART: Final = "aiostream-server-restart.service"


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths below `root`, which differs from / only in tests."""

    root: Path = Path("/")

    @property
    def home(self) -> Path:
        return self.root / "opt" / "aiostream-server"

    @property
    def venvs(self) -> Path:
        return self.home / "venvs"

    @property
    def current(self) -> Path:
        """A link to the virtual environment that the units start."""
        return self.home / "current"

    @property
    def settings(self) -> Path:
        return self.root / "etc" / "aiostream-server"

    @property
    def config(self) -> Path:
        return self.settings / "server.toml"

    @property
    def more_packages(self) -> Path:
        """Packages for the administrator's own teams, as pip requirements; the file is optional."""
        return self.settings / "requirements.txt"

    @property
    def credentials(self) -> Path:
        """One file for each secret; systemd passes them to the service."""
        return self.settings / "credentials"

    @property
    def keys_file(self) -> Path:
        return self.settings / "private" / "keys" / "keys.json"

    @property
    def units(self) -> Path:
        return self.root / "etc" / "systemd" / "system"

    @property
    def state(self) -> tuple[Path, ...]:
        """systemd's StateDirectory of a dynamic user: a folder, and the link to it."""
        return self.root / "var/lib/private/aiostream-server", self.root / "var/lib/aiostream-server"
