"""`--processes` runs every test once, reports it, and survives the death of a process. Real sessions of pytest."""

import os
import subprocess
import sys
from pathlib import Path

_FILE = """
import os, pathlib, pytest

@pytest.fixture(scope="module")
def module():
    return os.getpid()

def test_passes(module, tmp_path):
    note("passes", tmp_path)

def test_shares_the_fixture(module):
    assert module == os.getpid()

def note(what, tmp_path):
    with open("noted", "a") as noted:
        noted.write(f"{what} {os.getpid()} {tmp_path}\\n")
"""
_ALONE = """
@pytest.mark.alone
def test_measures(tmp_path):
    note("measures", tmp_path)
"""
_DIES = """
@pytest.mark.parametrize("number", range(4))
def test_ends_its_process(number):
    if number == 2:
        os._exit(7)
"""


def _session(folder: Path, *arguments: str) -> tuple[int, str]:
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n  alone\n  together\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "tests.kit.parallel", "-p", "no:hypothesispytest", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(Path(__file__).parents[2])},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_all_run_once_and_those_alone_at_the_end(tmp_path: Path) -> None:
    """Those marked run after the others have ended, and no two processes write to one temporary folder."""
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        (tmp_path / name).write_text(_FILE + (_ALONE if name == "test_a.py" else ""))
    status, said = _session(tmp_path, "--processes=2")
    assert (status, "7 passed" in said) == (0, True), said
    noted = [line.split() for line in (tmp_path / "noted").read_text().splitlines()]
    assert [what for what, *_ in noted] == ["passes"] * 3 + ["measures"]
    assert noted[3][1] not in {process for _, process, _ in noted[:3]}
    folders = {Path(folder) for *_, folder in noted}
    assert len(folders) == 4
    assert len({folder.parents[1] for folder in folders}) == 1, "one folder has those of all processes"


def test_files_of_one_name_run_in_one_process(tmp_path: Path) -> None:
    for name in ("test_a.py", "test_b.py", "test_c.py"):
        (tmp_path / name).write_text(_FILE + "\npytestmark = pytest.mark.together('browser')\n")
    status, said = _session(tmp_path, "--processes=3")
    assert status == 0, said
    assert len({line.split()[1] for line in (tmp_path / "noted").read_text().splitlines()}) == 1


def test_what_fails_and_what_ends_its_process_is_named(tmp_path: Path) -> None:
    """The tests behind it in its file run all the same, in another process."""
    (tmp_path / "test_a.py").write_text(_FILE + _DIES)
    (tmp_path / "test_b.py").write_text("def test_is_wrong():\n    assert 1 == 2\n")
    status, said = _session(tmp_path, "--processes=2")
    assert (status, "2 failed, 5 passed" in said) == (1, True), said
    assert "test_ends_its_process[2]" in said
    assert "The process that ran it has ended with 7." in said
    assert "assert 1 == 2" in said


def test_the_first_failure_can_end_it(tmp_path: Path) -> None:
    """`-x` hands out no further file."""
    (tmp_path / "test_a.py").write_text("def test_is_wrong():\n    assert 1 == 2\n\ndef test_next():\n    pass\n")
    (tmp_path / "test_b.py").write_text(_FILE)
    status, said = _session(tmp_path, "--processes=1", "-x")
    assert status == 1
    assert "1 failed in" in said, said
