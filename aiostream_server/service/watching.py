"""`[server] watch`: the files that a server was made of, looked at until one of them changes.

They are asked for their stamps five times a second, which takes about a millisecond of a thread's time for a hundred
files. The kernel's own notices (inotify) would save that and cost more: a library, a watch for every folder, since
editors save by renaming, a limit on watches for each user, and no notice at all of what changes on a network's or a
container's mounted folder.

A change is told once the files have been still for a moment, so that saving several of them is one reload. One that is
gone may be about to be renamed into its place: it has a second to come back.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import structlog

from aiostream_server.service.stamps import Seen, look_at

_LOOK_S: Final = 0.2
_STILL_S: Final = 0.08
_GONE_S: Final = 1.0
_SHOWN: Final = 5

_log = structlog.get_logger()
Looked: TypeAlias = Mapping[Path, Seen]


def look(files: Callable[[], Iterable[Path]]) -> Looked:
    """How they are now."""
    return {path: look_at(path) for path in files()}


async def watch(
    files: Callable[[], Iterable[Path]],
    on_change: Callable[[], object],
    looked: Looked,
    missed: Callable[[], Looked] = dict,
) -> None:
    """Call `on_change` whenever one of the `files` is not as it was `looked` at last, until this is cancelled.

    `files` is called in a thread. A file that is new among them is no change, unless it was `missed` as something else;
    but one that comes into a folder that is among them is.
    """
    while True:
        await asyncio.sleep(_LOOK_S)  # nothing tells of files: see above
        now = await asyncio.to_thread(look, files)
        before = {**missed(), **looked}
        if _changed(before, now):
            now = await _until_still(files, before, now)
            if changed := _changed(before, now):
                shown = [str(path) for path in changed[:_SHOWN]]
                _log.info("files_changed", files=shown, count=len(changed))
                on_change()
        looked = now


async def _until_still(files: Callable[[], Iterable[Path]], before: Looked, now: Looked) -> Looked:
    gone_until = time.monotonic() + _GONE_S
    while True:
        await asyncio.sleep(_STILL_S)  # as above
        earlier, now = now, await asyncio.to_thread(look, files)
        is_gone = any(now.get(path) is None for path in _changed(before, now))
        if not _changed(earlier, now) and (not is_gone or time.monotonic() > gone_until):
            return now


def _changed(before: Looked, now: Looked) -> Sequence[Path]:
    return sorted(path for path, seen in now.items() if path in before and before[path] != seen)
