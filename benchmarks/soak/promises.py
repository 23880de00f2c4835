"""The promises of docs/reliability.md: runs the tests that show each, and tells what they print.

A row with a script as its test (a booted Debian, an installation) is not run here.
"""

import asyncio
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

from benchmarks.processes import ROOT, kill
from benchmarks.soak.report import SERVER, Row

RELIABILITY: Final = ROOT / "docs" / "reliability.md"

_CODE: Final = re.compile(r"`([^`]+)`")
_NO_FIGURE: Final = re.compile(r"^---|#x1B\[|\x1b\[|^File \"|^Traceback")
"""A heading of pytest, a coloured line of the server's log, a traceback in it."""
_DEADLINE_S: Final = 400.0
_MOST_PRINTED_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Promise:
    """`only` selects among the tests of the files, as pytest's `-k` does; empty: all of them."""

    what: str
    files: tuple[str, ...]
    only: str = ""


def promises_in(page: str) -> Iterator[Promise]:
    """Those of a page that tests show, without what an earlier run has written into it."""
    for line in page.partition(SERVER.heading)[0].splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 4 or not line.startswith("|"):
            continue
        told = _CODE.findall(cells[1])
        files = tuple(name for name in told if name.startswith("tests/") and name.endswith(".py"))
        if files and not any(name.startswith("scripts/") for name in told):
            yield Promise(cells[0], files, " ".join(name for name in told if "/" not in name))


async def measure(folder: Path) -> list[Row]:
    return [await _shown(promise, folder) for promise in promises_in(RELIABILITY.read_text("utf-8"))]


async def _shown(promise: Promise, folder: Path) -> Row:
    report = folder / "tests.xml"
    report.unlink(missing_ok=True)
    only = ("-k", promise.only) if promise.only else ()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", *promise.files, *only, "-p", "no:cacheprovider"),
        *(f"--junitxml={report}", "-o", "junit_logging=system-out"),
        stdout=asyncio.subprocess.DEVNULL,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(_DEADLINE_S):
            status = await process.wait()
    except TimeoutError:
        status = -1
    finally:
        await kill(process)
    figure = figure_of(report.read_text("utf-8")) if report.exists() else "ended without a report"
    tests = ", ".join(f"`{name}`" for name in promise.files)
    return Row(promise.what, tests + (f" (`{promise.only}`)" if promise.only else ""), figure, status == 0)


def figure_of(report: str) -> str:
    """How many tests passed, in which time, and the figures that they printed, out of a JUnit report."""
    suites = ElementTree.fromstring(report)  # noqa: S314 - pytest has written it
    suite = suites if suites.tag == "testsuite" else suites[0]
    count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    passed = count["tests"] - count["failures"] - count["errors"] - count["skipped"]
    skipped = f" ({count['skipped']} skipped)" if count["skipped"] else ""
    lines = [line.strip() for out in suite.iter("system-out") for line in (out.text or "").splitlines()]
    printed = "; ".join(line for line in lines if any(char.isdigit() for char in line) and not _NO_FIGURE.search(line))
    told = f": {printed[:_MOST_PRINTED_CHARS]}" if printed else ""
    return f"{passed} of {count['tests']} tests{skipped} in {float(suite.get('time', 0)):.0f} s{told}"
