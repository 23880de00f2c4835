"""`[server] watch`: finds out that one of the server's files has changed.

Polls the status of each file five times a second, about a millisecond of a thread's time for a hundred files. inotify
would save that, but needs a library, a watch per folder (editors save by renaming) and a limit per user, and sees no
changes on network drives and mounted folders of containers.

Changes are debounced: one is reported once the files have been still for a moment, so that saving several files is one
reload. A file that is gone may be about to be renamed into place, and has a second to come back.
"""

import asyncio
import os
import stat
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import structlog

_POLL_S: Final = 0.2
_STILL_S: Final = 0.08
_GONE_S: Final = 1.0
_LOGGED_FILES: Final = 5

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Stamp:
    """The status by which a changed file is recognised without reading it. `changed_ns` is its time of modification. An
    editor that saves by renaming changes `inode`."""

    changed_ns: int
    size: int
    inode: int


Snapshot: TypeAlias = Stamp | tuple[tuple[str, Stamp], ...] | None
"""Of a file, of a folder with its files by name, or of nothing."""
Snapshots: TypeAlias = Mapping[Path, Snapshot]


def stamp_of(path: Path) -> Stamp | None:
    """None if there is no such file, or it cannot be seen."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def take_snapshots(files: Callable[[], Iterable[Path]]) -> Snapshots:
    """How the files are now. Reads the file system."""
    return {path: _snapshot(path) for path in files()}


async def watch(
    files: Callable[[], Iterable[Path]],
    on_change: Callable[[], object],
    last: Snapshots,
    missed: Callable[[], Snapshots] = dict,
) -> None:
    """Call `on_change` whenever one of the `files` differs from its snapshot, until cancelled.

    `files` is called in a thread. A file that is new among them is no change, unless `missed` has it. A file that
    appears in a folder among them is one. A file that leaves them keeps its snapshot: modules are not loaded during a
    reload, and a change of their files at that time would be lost.
    """
    while True:
        await asyncio.sleep(_POLL_S)
        now = await asyncio.to_thread(take_snapshots, files)
        before = {**missed(), **last}
        if _changed(before, now):
            now = await _until_still(files, before, now)
            if changed := _changed(before, now):
                _log.info("files_changed", files=[str(path) for path in changed[:_LOGGED_FILES]], count=len(changed))
                on_change()
        last = {**last, **now}


async def _until_still(files: Callable[[], Iterable[Path]], before: Snapshots, now: Snapshots) -> Snapshots:
    gone_until = time.monotonic() + _GONE_S
    while True:
        await asyncio.sleep(_STILL_S)
        earlier, now = now, await asyncio.to_thread(take_snapshots, files)
        is_gone = any(now.get(path) is None for path in _changed(before, now))
        if not _changed(earlier, now) and (not is_gone or time.monotonic() > gone_until):
            return now


def _changed(before: Snapshots, now: Snapshots) -> Sequence[Path]:
    return sorted(path for path, snapshot in now.items() if path in before and before[path] != snapshot)


def _snapshot(path: Path) -> Snapshot:
    """A folder's snapshot has its Python files."""
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            return _stamp(status)
        with os.scandir(path) as entries:
            found = [(entry.name, _stamp(entry.stat())) for entry in entries if entry.name.endswith(".py")]
    except OSError:
        return None
    return tuple(sorted(found, key=lambda entry: entry[0]))


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
