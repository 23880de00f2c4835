"""Tests that need something from outside are skipped loudly, and fail where everything is required."""

import pytest

from tests.kit import needs


@pytest.fixture
def missing_nginx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "_FOUND", {"nginx": lambda: None})


@pytest.mark.usefixtures("missing_nginx")
def test_a_missing_program_skips_and_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIOSTREAM_REQUIRE_ALL", raising=False)
    with pytest.raises(pytest.skip.Exception, match="nginx is missing; scripts/dev/fetch nginx"):
        needs.require("nginx")


@pytest.mark.usefixtures("missing_nginx")
def test_a_missing_program_fails_where_everything_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIOSTREAM_REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception, match="scripts/dev/fetch nginx"):
        needs.require("nginx")


def test_the_summary_has_one_line_for_each_missing_thing() -> None:
    def skipped(reason: str) -> pytest.TestReport:
        longrepr = ("tests/x.py", 1, f"Skipped: {reason}")
        return pytest.TestReport("x", ("x", 1, "x"), {}, "skipped", longrepr, "setup")

    nginx = "NOT TESTED: nginx is missing; scripts/dev/fetch nginx"
    assert needs.missing_lines([skipped(nginx), skipped("another reason"), skipped(nginx)]) == [
        "NOT TESTED: 2 tests, because nginx is missing; scripts/dev/fetch nginx"
    ]
