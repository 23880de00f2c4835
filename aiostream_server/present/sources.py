"""The sources of an answer: the queries that the data team made, with their results."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.events import Action, Event, ToolResult
from aiostream_server.present.blocks import fenced, readable_arguments, table_or_fence

_QUERY: Final = "query"
_MAX_CALLS: Final = 100
_SQL_CHARS: Final = 2_000
_RESULT_CHARS: Final = 4_000
_SUMMARY_CHARS: Final = 60


@dataclass(frozen=True, slots=True)
class Source:
    """`text` is Markdown, which Open WebUI 0.12 renders and 0.6 shows as plain text."""

    name: str
    text: str


class Sources:
    """The sources of one run. Feed it every event, in order."""

    def __init__(self) -> None:
        self._asked: dict[str, str] = {}
        self._count = 0

    def show(self, event: Event) -> Iterator[Source]:
        if isinstance(event, Action) and event.tool == _QUERY:
            if len(self._asked) < _MAX_CALLS:
                self._asked[event.call_id] = event.arguments
        elif isinstance(event, ToolResult) and event.tool == _QUERY:
            arguments = self._asked.pop(event.call_id, "")
            if not event.is_error:
                self._count += 1
                yield Source(_name(self._count, event.summary), _text(arguments, event.content))


def _name(number: int, summary: str) -> str:
    found = " ".join(summary.split())[:_SUMMARY_CHARS]
    return f"SQL query {number} ({found})" if found else f"SQL query {number}"


def _text(arguments: str, result: str) -> str:
    language, asked = readable_arguments(arguments)
    parts = [fenced(_beginning(asked, _SQL_CHARS), language)] if asked else []
    if result.strip():
        parts.append(table_or_fence(_whole_lines(result, _RESULT_CHARS)))
    return "\n\n".join(parts)


def _beginning(text: str, most_chars: int) -> str:
    return text if len(text) <= most_chars else f"{text[:most_chars]}…"


def _whole_lines(text: str, most_chars: int) -> str:
    """The beginning of a text, cut at a line's end so that a table stays one."""
    if len(text) <= most_chars:
        return text
    lines, _, _ = text[:most_chars].rpartition("\n")
    return lines or text[:most_chars]
