"""What is logged, in processes of their own: logging is configured once in each."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

_CONFIGURED = """
import logging, sys, structlog
from aiostream_server.service.logging import configure_logging
configure_logging("info", sys.argv[1], worker=3)
theirs = structlog.get_logger("library")
__name__ = "aiostream_server.somewhere"
ours = structlog.get_logger()  # named after this module, at its first line
"""


async def _run(script: str, log_format: str, stderr: int = subprocess.PIPE) -> list[str]:
    """What the script writes to stderr, line by line; it must end well."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _CONFIGURED + script, log_format), stdout=subprocess.PIPE, stderr=stderr
    )
    out, err = await process.communicate()
    assert (process.returncode, out) == (0, b"went on\n"), err
    return (err or b"").decode().splitlines()


def _without_time(line: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(line)
    assert told.pop("timestamp").endswith("Z")
    return told


async def test_our_lines_and_the_standard_librarys_are_alike() -> None:
    script = """
structlog.contextvars.bind_contextvars(request_id="r1")
ours.warning("happened", count=1)
logging.getLogger("library").warning("happened")
ours.debug("too minor")
print("went on")
"""
    lines = [_without_time(line) for line in await _run(script, "json")]
    common = {"worker": 3, "event": "happened", "request_id": "r1", "level": "warning"}
    assert lines == [{**common, "count": 1}, common]


async def test_other_loggers_are_logged_from_warnings_on() -> None:
    script = """
logging.getLogger("library").info("https://host/?key=secret")
theirs.info("https://host/?key=secret")
ours.info("told")
theirs.warning("told, too")
print("went on")
"""
    assert [_without_time(line)["event"] for line in await _run(script, "json")] == ["told", "told, too"]


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_a_failure_is_logged_with_its_trace_and_without_its_locals(log_format: str) -> None:
    script = """
def fail():
    secret = "canary"
    secret.index("x")
try:
    fail()
except ValueError as error:
    ours.error("failed", exc_info=error)
print("went on")
"""
    text = "\n".join(await _run(script, log_format))
    assert "substring not found" in text
    assert "fail" in text
    assert "canary" not in text


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is full, as Linux has it")
@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_an_exception_that_would_end_the_process_when_it_is_read_is_logged(log_format: str) -> None:
    """Inside of uvloop, whose callbacks are C, that ended the server."""
    script = """
class Unreadable(Exception):
    def __str__(self):
        raise SystemExit(9)
for log in (ours.error, logging.getLogger("asyncio").error):
    try:
        raise Unreadable
    except Unreadable as exc:
        log("it_failed", exc_info=exc)
print("went on")
"""
    said = "\n".join(await _run(script, log_format))
    assert said.count("it_failed") == 2
    assert said.count("Unreadable") >= 2


async def test_a_line_that_cannot_be_written_is_only_lost() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        await _run('ours.info("lost")\nprint("went on")\n', "json", full)
    finally:
        os.close(full)


async def test_a_process_without_stderr_logs_nothing() -> None:
    without = "import os, subprocess, sys; os.close(2); os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
    script = _CONFIGURED + 'ours.info("lost")\nprint("went on")\n'
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", without, "-c", script, "json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert (process.returncode, out) == (0, b"went on\n")
