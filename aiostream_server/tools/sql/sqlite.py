"""SQLite: statements run in child processes, which the kernel limits; the file is opened read-only.

An authorizer limits what a statement may use, and a progress handler ends it in time. Where SQLite does not look at
either (one long `instr`), the process is killed. Each statement gets a connection of its own.
https://www.sqlite.org/security.html
"""

import asyncio
import json
import sqlite3
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from sqlalchemy.engine import URL

from aiostream_server.tools.sql.backend import StatementDeadline
from aiostream_server.tools.sql.cells import MAX_BINARY_BYTES, MAX_CELL_CHARS, Binary, Clipped
from aiostream_server.tools.sql.errors import NO_ROWS, DatabaseUnreachable, QueryFailed, StatementLate
from aiostream_server.tools.sql.functions import FUNCTIONS
from aiostream_server.tools.sql.reflection.of_sqlite import SqliteCatalog

_CHILD: Final = Path(__file__).with_name("sqlite_child.py")
_SKIP_TIMEOUT_S: Final = 0.5
_KILL_AFTER_S: Final = 0.3  # the child's own deadline comes first
_LINE_BYTES: Final = 64 * 1024**2
_FILE_BYTES: Final = 1024**3
_MOST_IDLE: Final = 2
_STEP: Final = 256  # rows; of long ones the child sends fewer
_STEPS_BETWEEN_CHECKS: Final = 1_000  # virtual-machine steps: well under a millisecond


class SQLiteBackend:
    """A `Backend` for one file. Raises `DatabaseUnreachable` where the URL names no file."""

    def __init__(self, url: URL, *, timeout_s: float, memory_bytes: int) -> None:
        self._uri: Final = read_only_uri(url)
        self._timeout_s: Final = timeout_s
        self._memory_bytes: Final = memory_bytes
        self._idle: Final[list[_Child]] = []
        self._starting: Final[set[asyncio.Task[None]]] = set()
        self._is_closed = False

    @asynccontextmanager
    async def connect(self, deadline: StatementDeadline) -> AsyncIterator["_Child"]:
        """A child for one statement. It is used again only where it has closed the statement."""
        while self._idle and not self._idle[-1].is_alive:  # the kernel may have killed one that waited
            await self._idle.pop().end()
        child = self._idle.pop() if self._idle else await self._start()
        child.deadline = deadline
        try:
            yield child
        finally:
            await self._put_back(child)

    @asynccontextmanager
    async def open_catalog(self, deadline: StatementDeadline) -> AsyncIterator[SqliteCatalog]:
        connection = await asyncio.to_thread(_opened, self._uri, self._timeout_s)
        connection.set_progress_handler(deadline.is_over, _STEPS_BETWEEN_CHECKS)
        try:
            yield SqliteCatalog(connection)
        finally:
            connection.close()

    async def close(self) -> None:
        self._is_closed = True
        while self._starting:
            await asyncio.wait({*self._starting})
        for child in self._idle:
            await child.end()
        self._idle.clear()

    async def _start(self) -> "_Child":
        settings = {
            "uri": self._uri,
            "functions": sorted(FUNCTIONS["sqlite"]),
            "memory_bytes": self._memory_bytes,
            "file_bytes": _FILE_BYTES,
        }
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_CHILD)),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            env={},
            limit=_LINE_BYTES,
        )
        return _Child(process, settings)

    async def _put_back(self, child: "_Child") -> None:
        if child.is_idle and not self._is_closed and len(self._idle) < _MOST_IDLE:
            self._idle.append(child)
            return
        await child.end()
        if not self._idle and not self._starting and not self._is_closed:  # the next statement need not wait for it
            task = asyncio.create_task(self._start_spare(), name="sqlite-spare")
            self._starting.add(task)
            task.add_done_callback(self._starting.discard)

    async def _start_spare(self) -> None:
        with suppress(OSError):
            self._idle.append(await self._start())


class _Child:
    """One process, for one statement at a time. Cancelling an `ask` leaves it unusable: `end` kills it."""

    def __init__(self, process: Process, settings: Mapping[str, object]) -> None:
        self._process: Final = process
        self.deadline = StatementDeadline(0)
        self.is_idle = True
        self._is_answering = False
        self._write(settings)

    @asynccontextmanager
    async def execute(self, sql: str, row_limit: int, value_chars: int) -> AsyncIterator["_SQLiteCursor"]:
        request = {
            "open": sql,
            "first": row_limit,
            "timeout_s": self.deadline.remaining_s,
            "value_chars": value_chars,
            "value_bytes": MAX_BINARY_BYTES if value_chars <= MAX_CELL_CHARS else value_chars // 2,
        }
        answer = await self.ask(request)
        if answer["columns"] is None:
            raise QueryFailed(NO_ROWS)
        yield _SQLiteCursor(self, answer)
        if not self._is_answering:
            self._write({"close": True})
            self.is_idle = True

    async def ask(self, request: Mapping[str, object]) -> dict[str, Any]:
        """Raises `StatementLate`, `QueryFailed`, or `ConnectionError` for a file that cannot be opened."""
        self.is_idle, self._is_answering = False, True
        try:
            self._write(request)
            async with asyncio.timeout(self.deadline.remaining_s + _KILL_AFTER_S):
                assert self._process.stdout is not None  # noqa: S101 - it was started with a pipe
                line = await self._process.stdout.readline()
        except TimeoutError:
            raise StatementLate from None
        except (ConnectionError, ValueError) as exc:
            raise QueryFailed("the statement's process ended") from exc
        if not line:
            raise StatementLate if self.deadline.is_late else QueryFailed("the statement's process ended")
        answer: dict[str, Any] = json.loads(line)
        self._is_answering = False
        if "error" not in answer:
            return answer
        if answer.get("late"):
            raise StatementLate
        if answer.get("unopened"):
            raise ConnectionError(answer["error"])
        raise QueryFailed(answer["error"])

    @property
    def is_alive(self) -> bool:
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def end(self) -> None:
        with suppress(ProcessLookupError):
            self._process.kill()
        if self._process.stdin is not None:
            self._process.stdin.close()
        await self._process.wait()

    def _write(self, request: Mapping[str, object]) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was started with a pipe
        self._process.stdin.write(json.dumps(request).encode() + b"\n")


class _SQLiteCursor:
    def __init__(self, child: _Child, opened: Mapping[str, Any]) -> None:
        self._child = child
        self._rows: list[list[object]] = opened["rows"]
        self._has_more: bool = opened["more"]
        self.columns: tuple[str, ...] = tuple(opened["columns"])
        self.types: tuple[str, ...] = tuple(opened["types"])
        self.step = _STEP

    async def read(self, count: int) -> list[list[object]]:
        if not self._rows and self._has_more:
            answer = await self._child.ask({"read": count})
            self._rows, self._has_more, self.types = answer["rows"], answer["more"], tuple(answer["types"])
        found, self._rows = self._rows[:count], self._rows[count:]
        return [[_value(sent) if isinstance(sent, dict) else sent for sent in row] for row in found]

    async def skip(self, count: int) -> int | None:
        if not self._has_more or len(self._rows) >= count:
            return min(count, len(self._rows))
        asked = {"skip": count - len(self._rows), "timeout_s": _SKIP_TIMEOUT_S}
        skipped: int | None = (await self._child.ask(asked))["skipped"]
        return None if skipped is None else skipped + len(self._rows)


def _value(sent: Mapping[str, Any]) -> Binary | Clipped:
    return Binary(sent["hex"], sent["size"]) if "hex" in sent else Clipped(sent["beginning"], sent["size"])


def read_only_uri(url: URL) -> str:
    """The `file:` URI that opens the URL's file read-only: https://www.sqlite.org/uri.html"""
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise DatabaseUnreachable("a sqlite:// URL must name a file: sqlite:///relative.db or sqlite:////absolute.db")
    return f"file:{quote(str(Path(url.database).absolute()))}?mode=ro"


def _why_not_opened(file: Path) -> str:
    """Without the path, which users and models need not know. Empty where nothing is wrong with the file."""
    try:
        with file.open("rb"):
            return ""
    except FileNotFoundError:
        return "there is no such file; the path of a URL with three slashes starts at the folder of the config file"
    except OSError as exc:
        return f"its file cannot be read: {(exc.strerror or type(exc).__name__).lower()}"


def _readable_text(utf8: bytes) -> str:
    return utf8.decode(errors="replace")  # SQLite stores whatever bytes a program gives it as text


def _opened(uri: str, timeout_s: float) -> sqlite3.Connection:
    """Raises `sqlite3.OperationalError` with the reason where the file cannot be opened. SQLite itself tells none."""
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=timeout_s, check_same_thread=False)
    except sqlite3.OperationalError as exc:
        why = _why_not_opened(Path(unquote(urlsplit(uri).path)))
        raise sqlite3.OperationalError(why or str(exc)) from exc
    try:
        connection.text_factory = _readable_text
        connection.execute("PRAGMA schema_version").close()
    except BaseException:
        connection.close()
        raise
    return connection
