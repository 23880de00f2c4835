"""A file that is written in pieces, so that it need not fit into memory; deleted unless it is kept.

Until then it has no id: it is a hidden temporary file in the folder of `Files`, which a crash leaves behind and `Files`
deletes later.
"""

import hashlib
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

_COPY_BYTES: Final = 1024 * 1024


class GrowingFile:
    """Blocks: used in the threads of `Files`. Readable by the server's user only."""

    def __init__(self, folder: Path) -> None:
        self._folder: Final = folder
        self._file: IO[bytes] = tempfile.NamedTemporaryFile(dir=folder, prefix=".new-")  # noqa: SIM115 - has `close`
        self.size = 0

    def write(self, piece: bytes) -> None:
        self._file.write(piece)
        self.size += len(piece)

    def prepend(self, beginning: bytes) -> None:
        """Copies the file."""
        whole = tempfile.NamedTemporaryFile(dir=self._folder, prefix=".new-")  # noqa: SIM115 - has `close`
        try:
            whole.write(beginning)
            self._file.seek(0)
            shutil.copyfileobj(self._file, whole, _COPY_BYTES)
        except BaseException:
            whole.close()
            raise
        self._file.close()
        self._file, self.size = whole, self.size + len(beginning)

    def digest(self) -> str:
        """The SHA-256 of the content, in hex."""
        self._file.flush()
        self._file.seek(0)
        return hashlib.file_digest(self._file, "sha256").hexdigest()  # type: ignore[arg-type]  # is opened "w+b"

    def link(self, path: Path, expires_at: int) -> None:
        """Give the content its final name. The modification time is when the file expires."""
        self._file.flush()
        os.utime(self._file.name, (expires_at, expires_at))
        os.link(self._file.name, path)

    def close(self) -> None:
        """Deletes the temporary name. Where the disk is full, the rest of the content is dropped."""
        with suppress(OSError):
            self._file.close()
