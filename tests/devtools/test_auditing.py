"""What scripts/dev/audit makes of pip-audit's answers."""

import json

import pytest

from scripts.devtools.auditing import judge, read_accepted

CLEAN = {"name": "aiohttp", "version": "3.14.5", "vulns": []}
HURT = {"name": "mako", "version": "1.0", "vulns": [{"id": "GHSA-1", "fix_versions": ["1.1"], "aliases": []}]}
UNKNOWN = {"name": "private", "skip_reason": "Dependency not found on PyPI"}


def answer(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_known_vulnerability_fails_and_says_what_repairs_it() -> None:
    status, lines = judge(answer(CLEAN, HURT), "Found 1 known vulnerability")
    assert status == 1
    assert lines[0] == "mako 1.0: GHSA-1, repaired in 1.1"
    assert "scripts/dev/lock --upgrade" in lines[1]


def test_no_known_vulnerability_passes() -> None:
    assert judge(answer(CLEAN), "") == (0, ["1 locked packages have no known vulnerability"])


def test_a_package_that_the_database_does_not_know_is_named() -> None:
    status, lines = judge(answer(CLEAN, UNKNOWN), "")
    assert (status, lines[0]) == (0, "not in the database: private")


@pytest.mark.parametrize(
    ("text", "said"),
    [(answer(UNKNOWN), ""), ("", "ERROR: ConnectionError: cannot reach pypi.org"), ("", "urllib3: Read timed out.")],
)
def test_without_a_database_nothing_is_audited_and_that_is_said(text: str, said: str) -> None:
    status, (line,) = judge(text, said)
    assert status == 0
    assert line.startswith("NOT AUDITED: the vulnerability database cannot be reached")


def test_a_failure_of_the_tool_itself_fails() -> None:
    assert judge("", "Traceback\nValueError: a lock without hashes") == (
        1,
        ["Traceback", "ValueError: a lock without hashes"],
    )


def test_what_is_accepted_needs_its_reason() -> None:
    assert read_accepted("# a remark\n\nGHSA-1 # only on Windows\n") == ["GHSA-1"]
    for wrong in ("GHSA-1", "GHSA-1 #", "GHSA-1 only on Windows"):
        with pytest.raises(ValueError, match="no id followed by #"):
            read_accepted(wrong)
