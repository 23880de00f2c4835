"""Virtual environments under /opt/aiostream-server/venvs, named VERSION-N, and the link `current` to one of them.

A virtual environment is created in its final place, because its programs contain their own path. It is complete when it
holds `MADE_FROM`. It also holds the units and the default configuration of its version, for rollbacks.
"""

import hashlib
import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

from scripts.installer.bundle import Bundle
from scripts.installer.extras import lock_of
from scripts.installer.layout import SOURCE, Layout
from scripts.installer.steps import Problem, run

_MADE_FROM: Final = "MADE_FROM"
_NUMBERED: Final = re.compile(r"(?P<version>.+)-(?P<number>\d+)")
_WHEEL: Final = re.compile(r"aiostream_server-([^-]+)-py3-none-any\.whl")
_EXTRAS: Final = "EXTRAS"
Extras: TypeAlias = tuple[str, ...]
LOCK: Final = SOURCE / "requirements" / "service.txt"


@dataclass(frozen=True, slots=True)
class Release:
    """One complete virtual environment."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def number(self) -> int:
        found = _NUMBERED.fullmatch(self.name)
        return int(found["number"]) if found else 0

    @property
    def program(self) -> str:
        return str(self.folder / "bin" / "aiostream-server")

    @property
    def default_config(self) -> Path:
        return self.folder / "share" / "aiostream-server" / "server.toml"

    @property
    def units(self) -> Path:
        return self.folder / "share" / "aiostream-server" / "systemd"

    @property
    def made_from(self) -> str:
        return (self.folder / _MADE_FROM).read_text("utf-8")

    @property
    def extras(self) -> Extras:
        """Those of `scripts/install --with`."""
        named = self.folder / _EXTRAS
        return tuple(named.read_text("utf-8").split()) if named.is_file() else ()


def releases(layout: Layout) -> list[Release]:
    """The complete ones, the oldest first."""
    found = [Release(folder) for folder in layout.venvs.glob("*-*") if (folder / _MADE_FROM).is_file()]
    return sorted(found, key=lambda release: release.number)


def current(layout: Layout) -> Release | None:
    """The release that the units start; None where nothing is installed."""
    release = Release(Path(os.path.realpath(layout.current)))
    return release if layout.current.is_symlink() and (release.folder / _MADE_FROM).is_file() else None


def fingerprint(layout: Layout, wheel: Path, extras: Extras) -> str:
    """A hash of everything that a release is made from. Equal fingerprints mean equal releases."""
    digest = hashlib.sha256()
    shipped = [
        SOURCE / "configs" / "service.toml",
        SOURCE / "configs" / "server.toml",
        *sorted((SOURCE / "systemd").glob("**/*")),
    ]
    for path in [wheel, LOCK, *map(lock_of, extras), *shipped, layout.more_packages]:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return f"{wheel.name} {digest.hexdigest()}\n"


def next_folder(layout: Layout, wheel: Path) -> Path:
    """The folder of the next release. Its number is higher than that of any folder, complete or not."""
    version = _WHEEL.fullmatch(wheel.name)
    if version is None:
        raise Problem(
            f"{wheel.name} is no wheel of this project", "its name is aiostream_server-VERSION-py3-none-any.whl"
        )
    taken = (_NUMBERED.fullmatch(folder.name) for folder in layout.venvs.glob("*"))
    return layout.venvs / f"{version[1]}-{1 + max((int(found['number']) for found in taken if found), default=0)}"


def make(layout: Layout, folder: Path, bundle: Bundle, extras: Extras) -> Release:
    """Make a release with the packages of the lock and the administrator. Raise `Problem`, and remove what was made."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        run(sys.executable, "-I", "-m", "venv", str(folder))
        _install(folder, bundle.wheel, extras)
        if layout.more_packages.is_file():
            _install_more(folder, layout.more_packages, bundle)
        run(*_pip(folder), "check")
        release = Release(folder)
        release.units.parent.mkdir(parents=True)
        shutil.copytree(SOURCE / "systemd", release.units)
        shutil.copyfile(SOURCE / "configs" / "service.toml", release.default_config)
        shutil.copyfile(SOURCE / "configs" / "server.toml", release.default_config.with_name("complete.toml"))
        (folder / _EXTRAS).write_text(" ".join(extras), "utf-8")
        (folder / _MADE_FROM).write_text(fingerprint(layout, bundle.wheel, extras), "utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return release


def _install(folder: Path, wheel: Path, extras: Extras) -> None:
    # Nothing of this machine's pip configuration counts: only the wheels beside this one, by the hashes of the lock.
    install = [*_pip(folder), "--isolated", "install", "--quiet", "--no-index", "--no-deps", "--no-cache-dir"]
    locks = [argument for lock in (LOCK, *map(lock_of, extras)) for argument in ("-r", str(lock))]
    run(*install, "--find-links", str(wheel.parent), "--only-binary=:all:", "--require-hashes", *locks)
    run(*install, str(wheel))


def _install_more(folder: Path, requirements: Path, bundle: Bundle) -> None:
    """Use the bundle's wheels where it is offline; else the package index of this machine's pip."""
    locked = folder / "locked.txt"
    locked.write_text(run(*_pip(folder), "list", "--format=freeze"), "utf-8")
    where = ["--no-index", "--find-links", str(bundle.wheel.parent)] if bundle.offline else []
    run(*_pip(folder), "install", "--quiet", *where, "--constraint", str(locked), "-r", str(requirements))


def _pip(folder: Path) -> list[str]:
    return [str(folder / "bin" / "python"), "-I", "-m", "pip", "--disable-pip-version-check"]


def switch(layout: Layout, release: Release) -> None:
    """Replace the link `current` atomically."""
    link = layout.home / ".current.new"
    link.unlink(missing_ok=True)
    link.symlink_to(Path("venvs") / release.name)
    link.replace(layout.current)


def surplus(layout: Layout, keep: set[str]) -> list[Path]:
    """The folders that may be removed: all but the named releases, incomplete ones included."""
    return sorted(folder for folder in layout.venvs.glob("*") if folder.is_dir() and folder.name not in keep)


def remove(folder: Path) -> None:
    shutil.rmtree(folder)
