"""Query results in Markdown, read into cells and put into a sentence or a chart."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from aiostream_server.models.demo.conversation import DemoReply, call

CHART: Final = "chart"
_RULE: Final = re.compile(r"[\s|:-]*-[\s|:-]*")
_CELL: Final = re.compile(r"((?:\\.|[^|\\])*)(?:\||$)")
_NUMBER: Final = re.compile(r"-?\d[\d,]{0,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?")
_TIME: Final = re.compile(r"year|month|quarter|date|day", re.IGNORECASE)
_LOWEST: Final = re.compile(r"\b(?:lowest|least|fewest|worst|smallest|minimum|bottom|weakest)\b", re.IGNORECASE)
_HIGHEST: Final = re.compile(r"\b(?:highest|most|best|top|largest|biggest|greatest|maximum|strongest)\b", re.IGNORECASE)
_WANTS_CHART: Final = re.compile(
    r"\b(?:charts?|plot|graph|diagram|draw|picture|pie|as (?:bars|columns))\b", re.IGNORECASE
)
_WANTS_COURSE: Final = re.compile(r"\b(?:develop(?:ed)?|over time|month by month)\b", re.IGNORECASE)
_CHART_KINDS: Final = (("pie", r"\bpie\b"), ("line", r"\bline\b"), ("bar", r"\b(?:bars?|columns?)\b"))
_KINDS_OF_NAME: Final = frozenset({"region", "category", "segment", "channel"})
_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class RowsTable:
    """Rows of cells, as many in each as `headers`. Cells stay escaped: they are shown again."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @property
    def measure(self) -> str:
        """The name of the last column where it holds a figure; empty where it holds names, ids or times."""
        name = self.headers[-1]
        is_figure = not re.search(r"(?:^|_)id$", name, re.IGNORECASE) and not _TIME.search(name)
        return name if is_figure and self.rows and all(_number(row[-1]) is not None for row in self.rows) else ""

    @property
    def is_course(self) -> bool:
        return len(self.headers) == 2 and bool(_TIME.fullmatch(self.headers[0]))

    def figure(self, row: Sequence[str]) -> str:
        """The row's last cell: thousands apart, two decimals in a column that has decimals; other text as it is."""
        numbers = [number for one in self.rows if (number := _number(one[-1])) is not None]
        digits = 2 if any(number != number.to_integral_value() for number in numbers) else 0
        number = _number(row[-1])
        return row[-1] if number is None else f"{number:,.{digits}f}"

    def pair(self, row: Sequence[str]) -> str:
        return f"{_name(row)} with {self.figure(row)}"


def find_table(text: str) -> RowsTable | None:
    """The last Markdown table of a text."""
    lines = text.splitlines()
    for i in range(len(lines) - 1, 0, -1):
        if "|" in lines[i] and "|" in lines[i - 1] and _RULE.fullmatch(lines[i]):
            headers = tuple(re.sub(r"\\(.)", r"\1", name) for name in _cells(lines[i - 1]))
            end = next((n for n in range(i + 1, len(lines)) if "|" not in lines[n]), len(lines))
            rows = ((*_cells(line), *[""] * len(headers))[: len(headers)] for line in lines[i + 1 : end])
            return RowsTable(headers, tuple(rows))
    return None


def say_rows(question: str, text: str) -> str | None:
    """What the rows of a text say; None where it has no table."""
    table = find_table(text)
    if table is None:
        return None
    if not table.rows:
        return "The query found no rows, so there is nothing to report."
    if len(table.headers) == len(table.rows) == 1:
        return _say_value(table)
    if not table.measure or len(table.headers) == 1:
        names = [", ".join(row[:2]) for row in table.rows[:_SHOWN]]
        more = len(table.rows) - len(names)
        return f"The query gave {len(table.rows)} rows: {'; '.join(names)}{f' and {more} more' if more else ''}."
    lowest = bool(_LOWEST.search(question))
    if table.is_course and not lowest and not _HIGHEST.search(question):
        return _say_course(table)
    return _say_ranking(table, lowest=lowest)


def draw_rows(question: str, texts: Sequence[str]) -> DemoReply | None:
    """A call that draws the first table of these texts; None where nothing is to be drawn."""
    table = next((found for text in texts if (found := find_table(text))), None)
    if table is None or not table.measure or len(table.rows) < 2 or len(table.headers) < 2:
        return None
    if not _WANTS_CHART.search(question) and not (_WANTS_COURSE.search(question) and table.is_course):
        return None
    labels = sorted(table.headers[:-1], key=lambda name: _TIME.search(name) is None)
    kinds = (kind for kind, words in _CHART_KINDS if re.search(words, question, re.IGNORECASE))
    kind = next(kinds, "line" if _TIME.search(labels[0]) else "bar")
    split_by = labels[1] if len(labels) > 1 and kind != "pie" else ""
    return call(
        CHART,
        kind=kind,
        x=html.unescape(labels[0]),
        y=[html.unescape(table.measure)],
        split_by=html.unescape(split_by),
        title=f"{_spoken(table.measure)} by {' and '.join(labels)}".capitalize(),
    )


def _say_value(table: RowsTable) -> str:
    name, cell = _spoken(table.headers[0]), table.rows[0][0]
    if not cell.strip() or cell.strip().upper() == "NULL":
        return f"There is no {name} to report."
    return f"The {name} {'are' if name.endswith(('sales', 'sold')) else 'is'} **{table.figure(table.rows[0])}**."


def _say_course(table: RowsTable) -> str:
    first, last, peak = map(table.pair, (table.rows[0], table.rows[-1], max(table.rows, key=_value)))
    name = _spoken(table.measure)
    return f"The {name} went from {first} to {last}; the highest of the {len(table.rows)} was {peak}."


def _say_ranking(table: RowsTable, *, lowest: bool) -> str:
    rows = sorted(table.rows, key=_value, reverse=not lowest)
    extreme, other = ("lowest", "highest") if lowest else ("highest", "lowest")
    name, value = _spoken(table.measure), table.figure(rows[0])
    tied = [row for row in rows if _value(row) == _value(rows[0])]
    if len(tied) > 1:
        text = f"{_name(tied[0])} shares the {extreme} {name}, {value}, with {', '.join(map(_name, tied[1:_SHOWN]))}."
    elif table.headers[0] in _KINDS_OF_NAME and len(table.headers) == 2:
        text = f"The {_name(rows[0])} {table.headers[0]} had the {extreme} {name}: {value}."
    else:
        text = f"{_name(rows[0])} had the {extreme} {name}: {value}."
    behind = rows[len(tied) :]
    if behind:
        text += f" Next came {table.pair(behind[0])}"
        text += f"; the {other} of the {len(rows)} was {table.pair(behind[-1])}." if len(behind) > 1 else "."
    return text


def _name(row: Sequence[str]) -> str:
    return f"**{', '.join(row[:-1])}**"


def _spoken(header: str) -> str:
    return header.replace("_", " ").strip().lower()


def _value(row: Sequence[str]) -> Decimal:
    return _number(row[-1]) or Decimal(0)


def _number(cell: str) -> Decimal | None:
    found = _NUMBER.fullmatch(cell.strip())
    return Decimal(found[0].replace(",", "")) if found else None


def _cells(line: str) -> tuple[str, ...]:
    return tuple(cell.strip() for cell in _CELL.findall(line.strip().removeprefix("|")))[:-1]
