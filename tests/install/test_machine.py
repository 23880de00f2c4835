"""Where scripts/install agrees to work, and how it says no."""

import subprocess
import sys
from pathlib import Path

import pytest

from scripts.installer.machine import distribution_problem

SCRIPT = Path(__file__).parents[2] / "scripts" / "install"


@pytest.mark.parametrize(
    ("name", "version"),
    [("debian", "12"), ("debian", "13"), ("debian", None), ("ubuntu", "24.04"), ("ubuntu", "26.04")],
)
def test_supported_distributions_are_accepted(name: str, version: str | None) -> None:
    release = {"ID": name, "PRETTY_NAME": "it"} | ({"VERSION_ID": version} if version else {})
    assert distribution_problem(release) is None


@pytest.mark.parametrize(
    ("name", "version"), [("debian", "11"), ("ubuntu", "22.04"), ("ubuntu", "23.10"), ("debian", "x")]
)
def test_those_that_are_too_old_are_named(name: str, version: str) -> None:
    problem = distribution_problem({"ID": name, "VERSION_ID": version, "PRETTY_NAME": "Some System"})
    assert problem == "Some System is too old; tested are Debian 12 and later and Ubuntu 24.04 and later"


@pytest.mark.parametrize("release", [{}, {"ID": "fedora", "VERSION_ID": "44"}, {"ID": "", "NAME": "X"}])
def test_others_are_refused(release: dict[str, str]) -> None:
    assert "tested are Debian 12" in (distribution_problem(release) or "")


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, SCRIPT, *arguments], capture_output=True, text=True, check=False, cwd="/", timeout=20
    )


@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="SYSTEMD RUNS HERE: it would be installed")
def test_a_machine_without_systemd_is_refused_and_nothing_is_changed() -> None:
    done = run("--force", "--wheels", "/nowhere")
    assert (done.returncode, done.stdout) == (1, "")
    assert "systemd does not run here" in done.stderr or "this needs root" in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path("/opt/aiostream-server/venvs").exists()


def test_wrong_arguments_are_told_without_a_traceback() -> None:
    for wrong in (["--purge"], ["--upgrade", "--uninstall"], ["--wheels"], ["somewhere"]):
        done = run(*wrong)
        assert done.returncode == 2
        assert "usage: scripts/install" in done.stderr


def test_the_help_has_an_example_of_each_use() -> None:
    done = run("--help")
    for use in ("--wheels", "--upgrade", "--rollback", "--uninstall", "--purge", "--dry-run", "--force"):
        assert use in done.stdout
