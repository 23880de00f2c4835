"""`current_files`: how agents and tools of a run make files for its readers.

    files = current_files.get()
    if files is not None:
        picture = await files.add(content, "image/png", "Revenue by month")
        ...                                   # picture.markdown in the answer, or picture.url

A file that need not fit into memory is written in pieces: `growing`.

The run sets it in its task before it builds the team; AutoGen's runtime tasks inherit the context. It is None outside
of a run, and in a run that is not served.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Final

import structlog

from aiostream_server.store.files import Files
from aiostream_server.store.growing_file import GrowingFile
from aiostream_server.store.stored_file import FileOwner, FileRefused, StoredFile
from aiostream_server.text import printable_line

__all__ = ["FileRefused", "GrowingRunFile", "LinkedFile", "RunFiles", "current_files", "plain_title"]

_TITLE_CHARS: Final = 100
_MOST_RESULTS: Final = 3  # of queries, in one answer
_NO_TITLE: Final = "Picture"
_MARKUP: Final = re.compile(r"[\\`*_~\[\]()<>&|$#!\"]")

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class LinkedFile:
    """A kept file and its signed link, which anyone may read it by until it expires. `remark` is Markdown."""

    id: str
    media_type: str
    title: str
    url: str
    remark: str = ""

    @property
    def markdown(self) -> str:
        """An image for pictures, a link for anything else, and the remark."""
        mark = "!" if self.media_type.startswith("image/") else ""
        return f"{mark}[{self.title}]({self.url}){self.remark and f' {self.remark}'}"


class RunFiles:
    """One run's. `base` is the beginning of links: `https://agents.example.com`."""

    def __init__(self, files: Files, owner: FileOwner, base: str) -> None:
        self._files: Final = files
        self.owner: Final = owner
        self._base: Final = base
        self._writing: Final[list[asyncio.Task[None]]] = []
        self._promised: Final[dict[str, LinkedFile]] = {}
        self.shown: Final[list[LinkedFile]] = []
        """Files that code has put into the answer, before an agent's words."""

    async def add(self, content: bytes, media_type: str, title: str, *, in_answer: bool = False) -> LinkedFile:
        """Keep a file and return its link. Raises `FileRefused` for one that is too large, and if the disk is full.

        `in_answer`: if no agent puts it into the answer, the run does so at its end.
        """
        file = self._files.describe(content, media_type, title, self.owner)
        await self._files.keep(file, content)
        linked = self.linked(file, title)
        if in_answer:
            self._promised[linked.id] = linked
        return linked

    def add_soon(self, content: bytes, media_type: str, title: str) -> LinkedFile:
        """Return the link at once and keep the file in the background, before the run ends.

        Raises `FileRefused` for a file that is too large.
        """
        file = self._files.describe(content, media_type, title, self.owner)
        task = asyncio.create_task(self._keep(file, content), name="file")
        self._writing.append(task)
        task.add_done_callback(self._writing.remove)
        return self.linked(file, title)

    @asynccontextmanager
    async def growing(self) -> AsyncIterator["GrowingRunFile"]:
        """A file to be written in pieces. It is gone afterwards, unless it was kept. Raises `FileRefused`."""
        async with self._files.growing() as file:
            yield GrowingRunFile(self, self._files, file)

    def promise_result(self, file: LinkedFile) -> None:
        """If no agent puts it into the answer, the run does so at its end, with the last few results of queries."""
        results = [each.id for each in self._promised.values() if each.media_type == file.media_type]
        for file_id in results[: max(0, len(results) - _MOST_RESULTS + 1)]:
            del self._promised[file_id]
        self._promised[file.id] = file

    async def settle(self) -> None:
        """Wait until all files are written."""
        if self._writing:
            await asyncio.wait(self._writing)

    def was_shown(self, file: LinkedFile) -> None:
        """The file was put into the answer."""
        self._promised.pop(file.id, None)
        self.shown.append(file)

    def missing_in(self, answer: str) -> list[LinkedFile]:
        """The promised files that the answer does not contain."""
        return [file for file in self._promised.values() if file.id not in answer]

    async def _keep(self, file: StoredFile, content: bytes) -> None:
        try:
            await self._files.keep(file, content)
        except FileRefused as exc:
            _log.warning("file_not_kept", reason=str(exc))

    def linked(self, file: StoredFile, title: str) -> LinkedFile:
        url = self._files.links.link(self._base, file.id, file.expires_at)
        return LinkedFile(file.id, file.media_type, plain_title(title), url)


class GrowingRunFile:
    """A file of a run while it is written. `most_bytes` is the limit of `[files]`."""

    def __init__(self, run_files: RunFiles, files: Files, file: GrowingFile) -> None:
        self._run_files: Final = run_files
        self._files: Final = files
        self._file: Final = file
        self.most_bytes: Final = files.most_bytes

    async def write(self, piece: bytes) -> None:
        """Raises `FileRefused`, as when the disk is full."""
        await self._files.grow(self._file, piece)

    async def keep(self, media_type: str, title: str, *, beginning: bytes = b"", remark: str = "") -> LinkedFile:
        """Keep the file, with `beginning` before what was written, and return its link. Raises `FileRefused`."""
        kept = await self._files.keep_grown(self._file, media_type, title, self._run_files.owner, beginning)
        return replace(self._run_files.linked(kept, title), remark=remark)


def plain_title(title: str) -> str:
    """On one line, without anything that Markdown or HTML would interpret."""
    return printable_line(_MARKUP.sub(" ", title), _TITLE_CHARS) or _NO_TITLE


current_files: Final[ContextVar[RunFiles | None]] = ContextVar("current_files", default=None)
