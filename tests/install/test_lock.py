"""requirements/service.txt is what setup.cfg asks for. What is told here is repaired by `scripts/dev/lock`."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]


class Locked(NamedTuple):
    requirement: Requirement
    hashes: list[str]


def locked() -> dict[str, Locked]:
    text = (ROOT / "requirements" / "service.txt").read_text("utf-8").replace("\\\n", " ")
    found: dict[str, Locked] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = Requirement(line.split("--hash")[0].strip())
            found[canonicalize_name(requirement.name)] = Locked(requirement, re.findall(r"--hash=sha256:(\S+)", line))
    return found


def wanted() -> Iterator[Requirement]:
    """What the service install asks for: the package's own requirements, and those of tracing."""
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", "utf-8")
    lines = setup["options"]["install_requires"] + setup["options.extras_require"]["tracing"]
    return map(Requirement, filter(None, lines.splitlines()))


def test_the_lock_satisfies_what_the_package_requires() -> None:
    lock = locked()
    missing = []
    for requirement in wanted():
        entry = lock.get(canonicalize_name(requirement.name))
        if entry is None or not requirement.specifier.contains(version_of(entry)):
            missing.append(f"{requirement}, locked: {entry and entry.requirement}")
    assert not missing, "scripts/dev/lock"


def test_every_package_is_locked_to_one_version_with_hashes() -> None:
    for entry in locked().values():
        assert version_of(entry)
        assert entry.hashes
        assert all(re.fullmatch("[0-9a-f]{64}", found) for found in entry.hashes)


def test_nothing_but_linux_is_locked_for() -> None:
    for entry in locked().values():
        assert str(entry.requirement.marker).startswith('sys_platform == "linux"')


def test_on_every_supported_python_there_are_the_same_packages() -> None:
    for python in ("3.11", "3.12", "3.13"):
        environment = {"sys_platform": "linux", "python_version": python, "python_full_version": f"{python}.9"}
        left_out = [name for name, entry in locked().items() if not _applies(entry, environment)]
        assert left_out == []


def version_of(entry: Locked) -> str:
    (pinned,) = entry.requirement.specifier
    assert pinned.operator == "=="
    return pinned.version


def _applies(entry: Locked, environment: dict[str, str]) -> bool:
    return entry.requirement.marker is None or entry.requirement.marker.evaluate(environment)
