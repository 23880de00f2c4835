"""The process that runs SQLite's statements: this file alone, which needs nothing but the standard library.

Reads one JSON request a line from stdin and answers each with one line on stdout. A process serves one statement at a
time. The kernel limits its memory, the size of its files and its CPU time, and the parent may kill it at any time.

| request | answer |
| --- | --- |
| `{"open": sql, "first": 200, "timeout_s": 10, ...}` | `{"columns": [...], ...}` and what `read` answers |
| `{"read": 32}` | `{"rows": [...], "types": [...], "more": false}` |
| `{"skip": 100, "timeout_s": 0.5}` | `{"skipped": 7}`; null: not counted in time |
| `{"close": true}` | none |

Of a text longer than `value_chars` of the request, `{"beginning": ..., "size": 5000}` is sent; of a binary value always
`{"hex": ..., "size": 5000}`, with at most `value_bytes` bytes. `types` are those of the values so far.

Any answer may be `{"error": text}`, with `"late": true` where the time ran out, `"unopened": true` where the file
cannot be opened, and `"last": true` where the process ends.
"""

import json
import math
import resource
import sqlite3
import sys
import time
from contextlib import suppress
from typing import Any

_STEPS_BETWEEN_CHECKS = 1_000  # virtual-machine steps: well under a millisecond
_SKIP_STEP = 100
_MAX_STEP_CHARS = 1024**2
_FEWEST_CHARS = 2_000  # of a value
_TYPES = {int: "integer", float: "real", bytes: "blob"}
_LIMITS = {
    sqlite3.SQLITE_LIMIT_LENGTH: 1024**2,  # of one value: bounds group_concat
    sqlite3.SQLITE_LIMIT_SQL_LENGTH: 64 * 1024,
    sqlite3.SQLITE_LIMIT_EXPR_DEPTH: 200,
    sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: 50,
    sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 50,
    sqlite3.SQLITE_LIMIT_ATTACHED: 0,
    sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 200,
    sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 10,
    sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH: 1,
}
# SQLite's authorizer calls operators functions, too.
_OPERATORS = ("like", "glob", "->", "->>", "current_date", "current_time", "current_timestamp")


class FileNotOpened(Exception):
    """The file cannot be opened, is no database, or is locked."""


class Statement:
    """One running statement, on a connection of its own: nothing of it remains."""

    def __init__(self, settings: dict[str, Any], request: dict[str, Any]) -> None:
        timeout_s: float = request["timeout_s"]
        self._deadline = time.monotonic() + timeout_s
        self._callable = frozenset((*settings["functions"], *_OPERATORS))
        self._max_chars: int = request["value_chars"]
        self._max_bytes: int = request["value_bytes"]
        self._connection = _opened(settings["uri"], timeout_s)
        try:
            for limit, value in _LIMITS.items():
                self._connection.setlimit(limit, value)
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("PRAGMA trusted_schema = OFF")
            # Declares the two, which the authorizer would not allow later.
            self._connection.execute("SELECT 1 FROM json_each('[]'), json_tree('[]')").close()
            self._connection.text_factory = self._text
            self._connection.set_progress_handler(self._is_late, _STEPS_BETWEEN_CHECKS)
            self._connection.set_authorizer(self._authorize)
            self._cursor = self._connection.execute(request["open"])
        except BaseException:
            self._connection.close()
            raise
        described = self._cursor.description
        self.columns = None if described is None else [name for name, *_ in described]
        self._types: list[set[str]] = [set() for _ in described or ()]

    def first(self, most: int) -> dict[str, object]:
        """The first rows come with the columns: most results need no second question."""
        if self.columns is None:
            return {"columns": None}
        self._max_chars = min(self._max_chars, max(_FEWEST_CHARS, _MAX_STEP_CHARS // len(self.columns)))
        self._max_bytes = min(self._max_bytes, self._max_chars // 2)
        return {"columns": self.columns, **self.read(most)}

    def read(self, count: int) -> dict[str, object]:
        """Read at most `count` rows, fewer where they are long."""
        rows: list[list[object]] = []
        size = 0
        while len(rows) < count and size < _MAX_STEP_CHARS:
            row = self._cursor.fetchone()
            if row is None:
                break
            for value, seen in zip(row, self._types, strict=True):
                if value is not None:
                    seen.add(_TYPES.get(type(value), "text"))
                if isinstance(value, (str, bytes, dict)):
                    size += self._max_chars if isinstance(value, dict) else len(value)
            rows.append([self._plain(value) for value in row])
            size += 10 * len(row)
        else:
            row = ()
        types = [" or ".join(sorted(seen)) or "null" for seen in self._types]
        return {"rows": rows, "more": row is not None, "types": types}

    def skip(self, count: int, timeout_s: float) -> int | None:
        """Skip at most `count` rows; None where that takes longer than `timeout_s`."""
        skipped, self._deadline = 0, min(self._deadline, time.monotonic() + timeout_s)
        with suppress(sqlite3.OperationalError):
            while skipped < count and (rows := self._cursor.fetchmany(min(_SKIP_STEP, count - skipped))):
                skipped += len(rows)
            return None if self._is_late() and skipped < count else skipped
        return None

    def close(self) -> None:
        self._connection.close()

    def _is_late(self) -> bool:
        return time.monotonic() > self._deadline

    def _text(self, utf8: bytes) -> str | dict[str, object]:
        """SQLite stores whatever bytes a program gives it as text."""
        text = utf8.decode(errors="replace")
        return text if len(text) <= self._max_chars else {"beginning": text[: self._max_chars], "size": len(text)}

    def _plain(self, value: object) -> object:
        """The value as SQLite's shell shows it: that computes with 17 digits and writes 15, so 0.1 + 0.2 is 0.3."""
        if isinstance(value, float):
            if math.isinf(value):
                return "Inf" if value > 0 else "-Inf"
            short = float(format(value, ".15g"))
            return value if math.isinf(short) else short + 0.0  # -0.0 becomes 0.0
        if isinstance(value, bytes):
            return {"hex": value[: self._max_bytes].hex(), "size": len(value)}
        return value

    def _authorize(
        self, action: int, first: str | None, second: str | None, _schema: str | None, _via: str | None
    ) -> int:
        """SQLite calls this while it compiles a statement: https://www.sqlite.org/c3ref/c_alter_table.html"""
        match action:
            case sqlite3.SQLITE_SELECT | sqlite3.SQLITE_RECURSIVE:
                allowed = True
            case sqlite3.SQLITE_READ:
                allowed = first is not None and not first.lower().startswith("sqlite_")
            case sqlite3.SQLITE_FUNCTION:
                allowed = second is not None and second.lower() in self._callable
            case _:
                allowed = False
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _opened(uri: str, timeout_s: float) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)
        connection.execute("PRAGMA schema_version").close()
    except sqlite3.Error as exc:
        raise FileNotOpened(str(exc)) from exc
    return connection


def main() -> None:
    """Serve statements until stdin ends, or until one has used up the memory."""
    settings = json.loads(sys.stdin.buffer.readline())
    memory, files = int(settings["memory_bytes"]), int(settings["file_bytes"])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (files, files))  # of a sort that does not fit into memory
    statement: Statement | None = None
    deadline = 0.0
    for line in sys.stdin.buffer:
        request = json.loads(line)
        answer: dict[str, object] = {}
        try:
            if "open" in request:
                _limit_cpu(request["timeout_s"])
                deadline = time.monotonic() + request["timeout_s"]
                statement = Statement(settings, request)
                answer = statement.first(request["first"])
            elif statement is None:
                continue
            elif "read" in request:
                answer = statement.read(request["read"])
            elif "skip" in request:
                answer = {"skipped": statement.skip(request["skip"], request["timeout_s"])}
            else:
                statement.close()
                statement = None
                continue
        except MemoryError:
            answer = {"error": f"the statement needs more memory than {memory >> 20} MiB", "last": True}
        except FileNotOpened as exc:
            answer = {"error": str(exc), "unopened": True}
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as exc:
            answer = {"error": str(exc), "late": time.monotonic() > deadline}
        _answer(answer)
        if "last" in answer:
            return


def _limit_cpu(timeout_s: float) -> None:
    """Let the kernel end the process where its parent cannot, because it was killed."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime + timeout_s) + 5
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))


def _answer(answer: dict[str, object]) -> None:
    sys.stdout.buffer.write(json.dumps(answer, ensure_ascii=False).encode(errors="replace") + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
