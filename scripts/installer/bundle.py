"""The wheels to install from: the administrator's folder, or wheels that are built and fetched here."""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scripts.installer.layout import SOURCE
from scripts.installer.steps import Problem, Steps, run


@dataclass(frozen=True, slots=True)
class Bundle:
    """The project's wheel, with those of the lock beside it."""

    wheel: Path
    offline: bool
    """Whether pip may not use the network."""


@contextmanager
def find_bundle(wheels: Path | None, extras: Sequence[str], steps: Steps) -> Iterator[Bundle]:
    """The bundle in the folder, or a temporary one that is built here. Raises `Problem`."""
    if wheels is not None:
        yield Bundle(find_wheel(wheels.resolve()), offline=True)
        return
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory(prefix="aiostream-server-wheels.") as folder:
        steps.say("building the wheel and fetching what it needs; with --wheels DIR no network is used")
        run(
            str(SOURCE / "scripts" / "dev" / "wheels"),
            folder,
            "--python",
            python,
            *(f"--with={extra}" for extra in extras),
        )
        yield Bundle(find_wheel(Path(folder)), offline=False)


def find_wheel(wheels: Path) -> Path:
    """The project's only wheel in the folder. Raises `Problem`."""
    found = sorted(wheels.glob("aiostream_server-*.whl")) if wheels.is_dir() else []
    if len(found) != 1:
        what = (
            f"there are {len(found)} wheels aiostream_server-*.whl"
            if found
            else "there is no wheel aiostream_server-*.whl"
        )
        raise Problem(f"{what} in {wheels}", f"scripts/dev/wheels {wheels} fills it, where there is a network")
    return found[0]
