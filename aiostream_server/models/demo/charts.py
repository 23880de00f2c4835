"""Charts: asked for once, where the question wants to see something, with the columns that the table is about."""

import html
import re
from typing import Final

from aiostream_server.models.demo.conversation import Conversation
from aiostream_server.models.demo.speech import Reply, call
from aiostream_server.models.demo.table_text import Table, find_table

TOOL: Final = "chart"
_WANTED: Final = re.compile(
    r"\b(?:charts?|plot(?:ted)?|graphs?|diagrams?|draw|visuali[sz]e|pie|histogram|scatter ?plot|picture)\b",
    re.IGNORECASE,
)
_COURSE: Final = re.compile(r"\b(?:develop(?:ed|ment)?|trend|over time|evolve[ds]?)\b", re.IGNORECASE)
_KINDS: Final = (
    ("pie", re.compile(r"\b(?:pie|donut|doughnut|shares?)\b", re.IGNORECASE)),
    ("scatter", re.compile(r"\bscatter", re.IGNORECASE)),
    ("line", re.compile(r"\b(?:line|curve)\b", re.IGNORECASE)),
    ("bar", re.compile(r"\b(?:bars?|columns?|histogram)\b", re.IGNORECASE)),
)
_TIME: Final = re.compile(r"(?:^|_| )(?:year|month|quarter|week|day|date)$", re.IGNORECASE)
_ASKED: Final = re.compile(
    r"\b(?:please|can you|could you|plot|draw|show(?: me)?|visuali[sz]e|give me|make|create|"
    r"(?:as )?(?:an? )?(?:(?:pie|bar|line|scatter|column|donut) ?)?(?:chart|plot|graph|diagram|picture))\b",
    re.IGNORECASE,
)
_LOOSE: Final = re.compile(
    r"^(?:[\s,.;:?!-]|(?:a|an|the|of|as|in|with|for)\b)+|(?:[\s,.;:?!-]|\b(?:a|an|the|of|as|in|with|for))+$"
)
_QUESTION: Final = re.compile(r"(?:how|what|which|who|when|where|why|is|are|do|does|did)\b", re.IGNORECASE)
_FEWEST_POINTS: Final = 6


def answer(conversation: Conversation) -> Reply | None:
    """None where there is nothing to draw, or it was drawn already."""
    if conversation.calls(TOOL):
        return None
    table = next((found for text in conversation.texts() if (found := find_table(text))), None)
    if table is None or table.measure is None or len(table.rows) < 2:
        return None
    question = conversation.question
    if not _WANTED.search(question) and not (_COURSE.search(question) and _is_course(table)):
        return None
    x, split_by = _columns(table)
    if not x:
        return None
    kind = next((kind for kind, words in _KINDS if words.search(question)), "line" if _TIME.search(x) else "bar")
    if kind == "scatter":
        x = _numbers(table) or x
    if kind not in ("bar", "line"):
        split_by = ""
    y = html.unescape(table.headers[table.measure])
    return call(TOOL, kind=kind, x=html.unescape(x), y=[y], split_by=html.unescape(split_by), title=_title(question))


def _is_course(table: Table) -> bool:
    return (
        len(table.rows) >= _FEWEST_POINTS and bool(table.labels) and bool(_TIME.search(table.headers[table.labels[0]]))
    )


def _columns(table: Table) -> tuple[str, str]:
    """x, and what makes several series. Time is x, wherever it stands."""
    labels = [table.headers[index] for index in table.labels]
    labels.sort(key=lambda header: _TIME.search(header) is None)
    return (*labels, "", "")[0], (*labels, "", "")[1]


def _numbers(table: Table) -> str | None:
    """Another column of numbers than the one that is measured."""
    others = (index for index in range(len(table.headers)) if index != table.measure and table.numbers(index))
    return next((table.headers[index] for index in others if not table.headers[index].lower().endswith("id")), None)


def _title(question: str) -> str:
    """What is left of it without the words that ask for a picture; nothing of a real question."""
    words = _LOOSE.sub("", " ".join(_ASKED.sub(" ", question).split()))
    words = _LOOSE.sub("", words)
    return words[:1].upper() + words[1:] if len(words) > 2 and not _QUESTION.match(words) else ""
