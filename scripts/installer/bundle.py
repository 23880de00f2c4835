"""Where the wheels come from: a folder that the administrator gives, or this source tree and the network."""

import sys
import tempfile
from collections.abc import Iterator
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
    """Nothing is to be fetched."""


@contextmanager
def find_bundle(wheels: Path | None, steps: Steps) -> Iterator[Bundle]:
    """What is in the folder, or what is made for the length of the block. Raises `Problem`."""
    if wheels is not None:
        yield Bundle(find_wheel(wheels.resolve()), offline=True)
        return
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    with tempfile.TemporaryDirectory(prefix="aiostream-server-wheels.") as folder:
        steps.say("building the wheel and fetching what it needs; with --wheels DIR no network is used")
        run(str(SOURCE / "scripts" / "dev" / "wheels"), folder, "--python", python)
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
