"""The file of a SQLite store: who may read it, and its journal.

https://www.sqlite.org/wal.html: readers and a writer do not wait for each other, in any number of processes of one
machine; the file must not lie on a network drive.
"""

import os
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

_RETRY_S: Final = 0.02


def prepare_file(path: Path, *, timeout_s: float) -> None:
    """Blocks. Make the file, for its owner only, unless it is there, and let it keep its journal as WAL.

    Raise `OSError` or `sqlite3.Error`, also where it is no SQLite file. The journal's files get the file's mode.
    """
    # Only a file that nobody has open yet may be opened and closed here: closing gives up a process's locks on it.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    deadline = time.monotonic() + timeout_s
    with closing(sqlite3.connect(path, timeout=timeout_s)) as connection:
        while True:
            try:
                connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as exc:  # SQLite does not wait where two make the change at once
                if not _is_busy(exc) or time.monotonic() > deadline:
                    raise
                time.sleep(_RETRY_S)
            else:
                return


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
