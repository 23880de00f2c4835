"""A program that belongs to us: in a process group of its own, so that what it starts ends with it."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from aiostream_server.teams.tools.warden import warded

_T = TypeVar("_T")

_GRACES_S: Final = (0.4, 0.4)  # to leave by itself once its input is closed; after SIGTERM
_REAP_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Running:
    """A process and what it says."""

    process: Process
    stdout: asyncio.StreamReader
    stderr: asyncio.StreamReader

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """Of one that takes input."""
        return _piped(self.process.stdin)


def _piped(stream: _T | None) -> _T:
    if stream is None:
        raise RuntimeError("there is no pipe")
    return stream


@asynccontextmanager
async def running(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    folder: Path,
    line_limit: int = 64 * 1024,
    takes_input: bool = True,
    is_asked_to_leave: bool = True,
    is_warded: bool = False,
) -> AsyncIterator[Running]:
    """The program, with pipes; whatever is left of its group at the end of the block is killed.

    `is_asked_to_leave`: its input is closed first, then it gets a SIGTERM. `is_warded`: what has left its group is
    killed as well, by a process between it and us. Raises `OSError` where it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *(warded(command) if is_warded else command),
        stdin=PIPE if takes_input else DEVNULL,
        stdout=PIPE,
        stderr=PIPE,
        env=dict(env),
        cwd=folder,
        start_new_session=True,
        limit=line_limit,
    )
    try:
        yield Running(process, _piped(process.stdout), _piped(process.stderr))
        if is_asked_to_leave:
            await _ask_to_leave(process)
    finally:
        try:
            if is_warded:
                with suppress(ProcessLookupError):
                    process.terminate()
                await _reap(process)
        finally:
            _signal_group(process, signal.SIGKILL)
            await _reap(process)


async def _reap(process: Process) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_REAP_S):
            await process.wait()


async def _ask_to_leave(process: Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    for grace_s in _GRACES_S:
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await process.wait()
                return
        _signal_group(process, signal.SIGTERM)


def _signal_group(process: Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):  # nobody is left in it
        os.killpg(process.pid, number)
