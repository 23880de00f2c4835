"""Files that runs make for their readers, mostly pictures: on disk until they expire, for their owner and signed links.

A file consists of two in the folder `files` of the state directory, or of `[files] folder`: its content, and `ID.json`
with its description. The description is written last: a file without it does not exist. Both are readable by the
server's user only. All workers and all generations of a reload share the folder. Code in a run uses `store.run_files`
instead.
"""

import asyncio
import hashlib
import json
import os
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, TypeVar

from aiostream_server.config.server import FilesConfig
from aiostream_server.errors import ConfigError
from aiostream_server.store.growing_file import GrowingFile
from aiostream_server.store.links import SignedLinks, is_file_id, read_secret
from aiostream_server.store.stored_file import EXTENSIONS, FileOwner, FileRefused, StoredFile
from aiostream_server.text import printable_line

_OTHER: Final = "application/octet-stream"
_FOLDER: Final = "files"
_SECRET: Final = "files.secret"  # noqa: S105 - the file's name
_ABANDONED_S: Final = 3600.0  # a file without a description may be one that is being written
_THREADS: Final = 2
_NAME_CHARS: Final = 120

_T = TypeVar("_T")


class Files:
    """Opened by `open_files`. Uses threads of its own: tools that occupy asyncio's must not delay readers."""

    def __init__(self, folder: Path, links: SignedLinks, config: FilesConfig, clock: Callable[[], float]) -> None:
        self.links: Final = links
        self._folder: Final = folder
        self._config = config
        self._clock: Final = clock
        self._threads: Final = ThreadPoolExecutor(_THREADS, thread_name_prefix="files")

    def limit(self, config: FilesConfig) -> None:
        """Apply other limits to files that are kept from now on."""
        self._config = config

    def describe(self, content: bytes, media_type: str, name: str, owner: FileOwner) -> StoredFile:
        """The description of a new file. Raises `FileRefused` for one that is too large, or empty."""
        return self._described(len(content), hashlib.sha256(content).hexdigest(), media_type, name, owner)

    @property
    def most_bytes(self) -> int:
        """The size that one file may have."""
        return min(self._config.max_file_bytes, self._config.max_bytes)

    def _described(self, size: int, digest: str, media_type: str, name: str, owner: FileOwner) -> StoredFile:
        if not size:
            raise FileRefused("an empty file is not kept")
        if size > (most := self.most_bytes):
            raise FileRefused(f"the file has {size} bytes, and [files] max_file_bytes lets one have {most}")
        key_id, user_id = owner
        return StoredFile(
            f"file-{secrets.token_urlsafe(18)}",
            media_type if media_type in EXTENSIONS else _OTHER,
            printable_line(name)[:_NAME_CHARS],
            size,
            digest,
            key_id,
            user_id,
            int(self._clock() + self._config.expiry_s),
        )

    async def keep(self, file: StoredFile, content: bytes) -> None:
        """Write a file, and delete the oldest if all are too large together. Raises `FileRefused`."""
        await self._written(self._write, file, content)

    @asynccontextmanager
    async def growing(self) -> AsyncIterator[GrowingFile]:
        """A file to be written in pieces by `grow`; it is gone afterwards unless `keep_grown` has kept it."""
        file = await self._written(GrowingFile, self._folder)
        try:
            yield file
        finally:
            await asyncio.shield(self._in_thread(file.close))

    async def grow(self, file: GrowingFile, piece: bytes) -> None:
        """Raises `FileRefused`, as when the disk is full."""
        await self._written(file.write, piece)

    async def keep_grown(
        self, file: GrowingFile, media_type: str, name: str, owner: FileOwner, beginning: bytes = b""
    ) -> StoredFile:
        """Like `describe` and `keep` together. `beginning` is put before the content."""
        return await self._written(self._keep_grown, file, media_type, name, owner, beginning)

    async def _written(self, work: Callable[..., _T], *arguments: Any) -> _T:  # whatever `work` takes
        try:
            return await self._in_thread(work, *arguments)
        except OSError as exc:
            raise FileRefused(f"the file cannot be written: {(exc.strerror or 'the disk failed').lower()}") from exc

    async def find(self, file_id: str) -> StoredFile | None:
        """None for a file that does not exist, has expired, or is damaged."""
        return await self._in_thread(self._known, file_id) if is_file_id(file_id) else None

    async def read(self, file: StoredFile, start: int = 0, size: int | None = None) -> bytes | None:
        """The content, or `size` bytes of it; None if it was deleted since it was found."""
        return await self._in_thread(self._content, file, start, size)

    async def delete_expired(self) -> int:
        """Returns how many files were deleted. Raises `OSError`."""
        return await self._in_thread(self._make_room, 0)

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)

    async def _in_thread(self, work: Callable[..., _T], *arguments: Any) -> _T:  # whatever `work` takes
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    # In threads

    def _write(self, file: StoredFile, content: bytes) -> None:
        with closing(GrowingFile(self._folder)) as written:
            written.write(content)
            self._link(file, written)

    def _keep_grown(
        self, written: GrowingFile, media_type: str, name: str, owner: FileOwner, beginning: bytes
    ) -> StoredFile:
        if beginning:
            written.prepend(beginning)
        file = self._described(written.size, written.digest(), media_type, name, owner)
        self._link(file, written)
        return file

    def _link(self, file: StoredFile, written: GrowingFile) -> None:
        """The description comes last, so that no reader finds half a file."""
        self._make_room(file.size)
        written.link(self._folder / file.content_name, file.expires_at)
        with closing(GrowingFile(self._folder)) as description:
            description.write(json.dumps(asdict(file)).encode())
            description.link(self._description(file.id), file.expires_at)

    def _known(self, file_id: str) -> StoredFile | None:
        try:
            found = StoredFile(**json.loads(self._description(file_id).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.id == file_id and self._clock() < found.expires_at else None

    def _content(self, file: StoredFile, start: int, size: int | None) -> bytes | None:
        try:
            with (self._folder / file.content_name).open("rb") as stored:
                if os.fstat(stored.fileno()).st_size != file.size:
                    return None
                stored.seek(start)
                return stored.read(size)
        except OSError:
            return None

    def _description(self, file_id: str) -> Path:
        return self._folder / f"{file_id}.json"

    def _make_room(self, size: int) -> int:
        """Delete expired and abandoned files, then the oldest until there is room for `size` more bytes."""
        now, most = self._clock(), self._config.max_bytes - size
        paths, expires_at, sizes = defaultdict[str, list[Path]](list), Counter[str](), Counter[str]()
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):  # another worker has deleted it
                about, file_id = path.lstat(), path.name.partition(".")[0]
                if is_file_id(file_id):
                    paths[file_id].append(path)
                    expires_at[file_id] = max(expires_at[file_id], int(about.st_mtime))
                    sizes[file_id] += about.st_size
                elif about.st_mtime < time.time() - _ABANDONED_S:  # its time is the system's, not `clock`'s
                    path.unlink(missing_ok=True)
        total, gone = sizes.total(), 0
        for file_id in sorted(paths, key=lambda each: (expires_at[each], sizes[each])):
            if expires_at[file_id] > now and total <= most:
                break
            for path in sorted(paths[file_id], key=lambda each: each.suffix != ".json"):  # without it, no file exists
                path.unlink(missing_ok=True)
            total -= sizes[file_id]
            gone += 1
        return gone


def stored_in(state_directory: Path) -> Iterator[tuple[StoredFile, Path]]:
    """The files of a state directory that no server uses, and the paths of their contents; oldest first."""
    folder = state_directory / _FOLDER
    for about in sorted(folder.glob("file-*.json"), key=lambda path: path.stat().st_ctime_ns):
        file = StoredFile(**json.loads(about.read_bytes()))
        yield file, folder / file.content_name


@asynccontextmanager
async def open_files(
    config: FilesConfig, state_directory: Path, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[Files]:
    """Creates the folder and the secret if need be. Raises `ConfigError`. `clock` gives Unix time.

    Servers with the same folder share their files, and accept each other's signed links.
    """
    parent = config.folder or state_directory
    try:
        secret = await asyncio.to_thread(_prepare, parent)
    except (OSError, ValueError) as exc:
        reason = exc.strerror or "failed" if isinstance(exc, OSError) else str(exc)
        raise ConfigError([f"[files] {parent / _FOLDER} cannot be opened: {reason.lower()}"]) from exc
    files = Files(parent / _FOLDER, SignedLinks(secret, clock), config, clock)
    try:
        yield files
    finally:
        await files.close()


def _prepare(parent: Path) -> bytes:
    folder = parent / _FOLDER
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return read_secret(parent / _SECRET)
