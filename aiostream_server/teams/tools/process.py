"""Runs a program in a process group of its own, so that its child processes end with it."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from aiostream_server.teams.tools.subreaper import under_subreaper

_T = TypeVar("_T")

_EXIT_TIMEOUTS_S: Final = (0.4, 0.4)  # after its input is closed; after SIGTERM
_REAP_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class RunningProgram:
    """A process and its output."""

    process: Process
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """Not of a program with `kills_descendants`."""
        return _piped(self.process.stdin)


def _piped(stream: _T | None) -> _T:
    if stream is None:
        raise RuntimeError("there is no pipe")
    return stream


@asynccontextmanager
async def run_program(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    line_limit: int = 64 * 1024,
    kills_descendants: bool = False,
) -> AsyncIterator[RunningProgram]:
    """Start the program with pipes. At the end of the block its input is closed; after a while it gets a SIGTERM, and
    then its process group is killed.

    With `kills_descendants` it has no input, and is killed at once; so are its descendants outside of its group, by a
    subreaper. Raises `OSError` where the program cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *(under_subreaper(command) if kills_descendants else command),
        stdin=DEVNULL if kills_descendants else PIPE,
        stdout=PIPE,
        stderr=PIPE,
        env=dict(env),
        cwd=folder,
        start_new_session=True,
        limit=line_limit,
    )
    try:
        yield RunningProgram(process, _piped(process.stdout), _piped(process.stderr))
        if not kills_descendants:
            await _end_gracefully(process)
    finally:
        try:
            if kills_descendants:
                with suppress(ProcessLookupError):
                    process.terminate()
                await _reap(process)
        finally:
            _signal_group(process, signal.SIGKILL)
            await _reap(process)


async def _reap(process: Process) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP_TIMEOUT_S):
            await process.wait()


async def _end_gracefully(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for timeout_s in _EXIT_TIMEOUTS_S:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await process.wait()
                return
        _signal_group(process, signal.SIGTERM)


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # the group is empty
        os.killpg(process.pid, number)
