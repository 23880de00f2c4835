"""A task as one answer, and a list of tasks."""

from collections.abc import Sequence
from typing import Any

from aiostream_server.events import Entry
from aiostream_server.intake.json_text import encode
from aiostream_server.protocols.a2a.stream import TaskOptions
from aiostream_server.protocols.a2a.task import Task
from aiostream_server.runs.card import RunCard


class TaskCollector:
    """`protocols.dialect.Collector`: the task behind the entries that it was given. A failed one is a task, too."""

    def __init__(self, card: RunCard, options: TaskOptions) -> None:
        self._options = options
        self._task = Task() if options.earlier is None else options.earlier.copy()
        self._task.begin(card)

    def add(self, entries: Sequence[Entry]) -> None:
        self._task.add(entries)

    def body(self) -> bytes:
        return result_body({"task": self._task.shown(self._options.history_length)}, self._options)


def result_body(result: Any, options: TaskOptions) -> bytes:
    before, behind = options.around
    return f"{before}{encode(result)}{behind}".encode("ascii")
