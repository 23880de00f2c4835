"""requirements/service.txt is what setup.cfg asks for. What is told here is repaired by `scripts/dev/lock`."""

import configparser
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.installer.extras import chosen, offered
from scripts.installer.steps import Problem

ROOT = Path(__file__).parents[2]


class Locked(NamedTuple):
    requirement: Requirement
    hashes: list[str]


def locked(lock: str = "service.txt") -> dict[str, Locked]:
    text = (ROOT / "requirements" / lock).read_text("utf-8").replace("\\\n", " ")
    found: dict[str, Locked] = {}
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            requirement = Requirement(line.split("--hash")[0].strip())
            found[canonicalize_name(requirement.name)] = Locked(requirement, re.findall(r"--hash=sha256:(\S+)", line))
    return found


def setup() -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None)
    read.read(ROOT / "setup.cfg", "utf-8")
    return read


EXTRAS = sorted({*setup()["options.extras_require"]} - {"tracing", "test", "e2e", "bench", "dev"})
"""Those of users. The service always has tracing."""


def wanted(*extras: str) -> Iterator[Requirement]:
    """What the service install asks for: the package's own requirements, and those of tracing and `extras`."""
    lines = setup()["options"]["install_requires"]
    for extra in ("tracing", *extras):
        lines += setup()["options.extras_require"][extra]
    return map(Requirement, filter(None, lines.splitlines()))


LOCKS = ["service.txt", *(f"extras/{extra}.txt" for extra in EXTRAS)]


@pytest.mark.parametrize("extra", ["", *EXTRAS])
def test_the_lock_satisfies_what_the_package_requires(extra: str) -> None:
    lock = locked() | (locked(f"extras/{extra}.txt") if extra else {})
    missing = []
    for requirement in wanted(*filter(None, [extra])):
        entry = lock.get(canonicalize_name(requirement.name))
        if entry is None or not requirement.specifier.contains(version_of(entry)):
            missing.append(f"{requirement}, locked: {entry and entry.requirement}")
    assert not missing, "scripts/dev/lock"


def test_every_extra_of_users_is_offered_and_no_package_has_two_versions() -> None:
    assert offered() == EXTRAS
    versions: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, entry in locked(lock).items():
            versions.setdefault(name, set()).add(version_of(entry))
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}
    assert not [name for lock in LOCKS[1:] for name in locked(lock) if name in locked()]


@pytest.mark.parametrize("lock", LOCKS)
def test_every_package_is_locked_to_one_version_with_hashes(lock: str) -> None:
    for entry in locked(lock).values():
        assert version_of(entry)
        assert entry.hashes
        assert all(re.fullmatch("[0-9a-f]{64}", found) for found in entry.hashes)


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_but_linux_is_locked_for(lock: str) -> None:
    for entry in locked(lock).values():
        assert 'sys_platform == "linux"' in str(entry.requirement.marker)


def test_on_every_supported_python_there_are_the_same_packages() -> None:
    for python in ("3.11", "3.12", "3.13"):
        environment = {"sys_platform": "linux", "python_version": python, "python_full_version": f"{python}.9"}
        left_out = [name for name, entry in locked().items() if not _applies(entry, environment)]
        assert left_out == []


@pytest.mark.parametrize(
    ("text", "kept", "expected"),
    [
        (None, (), ()),
        (None, ("mcp",), ("mcp",)),
        ("charts", ("mcp",), ("charts", "mcp")),
        (" Charts, mcp ,", (), ("charts", "mcp")),
        ("none", ("mcp",), ()),
        ("none,charts", ("mcp",), ("charts",)),
    ],
)
def test_extras_are_added_to_those_that_are_kept(
    text: str | None, kept: tuple[str, ...], expected: tuple[str, ...]
) -> None:
    assert chosen(text, kept) == expected


@pytest.mark.parametrize("text", ["chart", "test", "dev", "../service", "charts mcp"])
def test_a_name_that_has_no_lock_is_refused_and_the_others_are_listed(text: str) -> None:
    with pytest.raises(Problem, match="there are: charts, docker, "):
        chosen(text, ())


def version_of(entry: Locked) -> str:
    (pinned,) = entry.requirement.specifier
    assert pinned.operator == "=="
    return pinned.version


def _applies(entry: Locked, environment: dict[str, str]) -> bool:
    return entry.requirement.marker is None or entry.requirement.marker.evaluate(environment)
