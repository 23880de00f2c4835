"""Modules of the user's own: imported anew when they have changed, and put back when the new ones are no good."""

import importlib
import os
import sys
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from types import ModuleType

import pytest

from aiostream_server.errors import ConfigError
from aiostream_server.service.user_modules import UserModules, is_own

AN_HOUR_AGO = int(time.time() - 3600)
_nanoseconds = count()


@pytest.fixture(params=["package", "namespace"])
def own(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[UserModules]:
    """With a package `trial_own`: its module `team` imports its module `words`."""
    package = tmp_path / "trial_own"
    package.mkdir()
    if request.param == "package":
        save(package / "__init__.py", "")
    save(package / "team.py", "from trial_own import words\nsaid = words.WORD\n")
    save(package / "words.py", "WORD = 'one'\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # whatever the tests are run with
    modules = UserModules()
    yield modules
    for name in [name for name in sys.modules if name.partition(".")[0] == "trial_own"]:
        del sys.modules[name]


def save(path: Path, text: str) -> None:
    """An hour ago, always in the same second."""
    path.write_text(text, "utf-8")
    saved_ns = AN_HOUR_AGO * 10**9 + next(_nanoseconds)
    os.utime(path, ns=(saved_ns, saved_ns))


def load() -> ModuleType:
    return importlib.import_module("trial_own.team")


def test_a_changed_module_is_imported_again_with_all_others(own: UserModules, tmp_path: Path) -> None:
    """Also where Python itself would take the old bytecode: same length, same second."""
    before = load()
    own.note()
    words = tmp_path / "trial_own" / "words.py"
    save(words, "WORD = 'two'\n")
    removed = own.remove_changed()
    assert removed.changed == [words]
    after = load()
    own.keep(removed)
    assert (before.said, after.said) == ("one", "two")
    assert own.remove_changed().changed == (), "nothing has changed since"
    assert words in own.files()


def test_modules_with_a_mistake_are_put_back(own: UserModules, tmp_path: Path) -> None:
    before = load()
    own.note()
    team = tmp_path / "trial_own" / "team.py"
    save(team, "from trial_own import words, missing\n")
    removed = own.remove_changed()
    with pytest.raises(ImportError):
        load()
    own.put_back(removed)
    assert load() is before
    package = sys.modules["trial_own"]
    assert package.team is before
    assert package.words is before.words
    assert tmp_path / "trial_own" / "missing.py" in own.missed
    assert {team, tmp_path / "trial_own" / "missing.py"} <= own.files()
    assert own.remove_changed().changed == [team], "it is tried again"
    own.put_back(removed)


def test_a_file_that_does_not_compile_is_named_with_its_line(own: UserModules, tmp_path: Path) -> None:
    before = load()
    own.note()
    team = tmp_path / "trial_own" / "team.py"
    save(team, "fine = 1\nnot so fine\n")
    with pytest.raises(ConfigError, match=r"team\.py:2: SyntaxError: invalid syntax"):
        own.remove_changed()
    assert load() is before


def test_a_file_that_was_written_while_it_was_read_counts_as_changed(own: UserModules, tmp_path: Path) -> None:
    load()
    team = tmp_path / "trial_own" / "team.py"
    os.utime(team)
    own.note()
    assert own.remove_changed().changed == [team]


def test_installed_packages_are_not_the_users_own() -> None:
    assert not any(is_own(str(module.__file__)) for module in (pytest, os))
    assert is_own(str(Path(__file__)))
