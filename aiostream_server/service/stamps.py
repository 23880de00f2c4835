"""How a file is known to have changed, without reading it."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Stamp:
    """`changed_ns` is its time of modification. An editor that writes a new file and renames it changes `inode`."""

    changed_ns: int
    size: int
    inode: int


Seen: TypeAlias = Stamp | tuple[tuple[str, Stamp], ...] | None


def stamp_of(path: Path) -> Stamp | None:
    """None where there is none that can be seen."""
    try:
        return _stamp(path.stat())
    except OSError:
        return None


def look_at(path: Path, suffix: str = ".py") -> Seen:
    """Of a folder the files with that suffix that stand in it, by name; of anything else its stamp."""
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            return _stamp(status)
        with os.scandir(path) as entries:
            found = [(entry.name, _stamp(entry.stat())) for entry in entries if entry.name.endswith(suffix)]
    except OSError:
        return None
    return tuple(sorted(found, key=lambda entry: entry[0]))


def _stamp(status: os.stat_result) -> Stamp:
    return Stamp(status.st_mtime_ns, status.st_size, status.st_ino)
