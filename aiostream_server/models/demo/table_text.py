"""A Markdown table in a text, read into cells, with its columns' roles: what is a number, what is a name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

_RULE_CELL: Final = re.compile(r":?-+:?")
_CELL: Final = re.compile(r"(?:\\.|[^|\\])*")
_NUMBER: Final = re.compile(r"[$€£]? ?(-?\d[\d,]{0,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?) ?%?")
_NOT_MEASURED: Final = re.compile(r"(?:^|_| )(?:id|year|month|quarter|week|day|date|code|zip|phone)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, as many in each as `headers`. Cells stay escaped as they came, for they are shown again."""

    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def numbers(self, column: int) -> list[Decimal] | None:
        """The column as numbers; None where it is not one of numbers (empty cells apart)."""
        cells = [row[column] for row in self.rows if row[column].strip() not in ("", "NULL", "None", "null")]
        values = [number for cell in cells if (number := as_number(cell)) is not None]
        return values if values and len(values) == len(cells) else None

    @property
    def measure(self) -> int | None:
        """The column that the table is about: the last one of numbers that is not an id or a time."""
        measured = [i for i, name in enumerate(self.headers) if not _NOT_MEASURED.search(name) and self.numbers(i)]
        return measured[-1] if measured else None

    @property
    def labels(self) -> tuple[int, ...]:
        """The columns that name a row: no ids; the first one only where there are more than two others."""
        others = [i for i, name in enumerate(self.headers) if i != self.measure and not name.lower().endswith("id")]
        naming = [i for i in others if _NOT_MEASURED.search(self.headers[i]) or self.numbers(i) is None]
        return tuple(naming if naming == others and len(naming) <= 2 else naming[:1])


def find_table(text: str) -> Table | None:
    """The last Markdown table of a text: a line of headers, a line of dashes, and the rows below."""
    lines = text.splitlines()
    for i in range(len(lines) - 1, 0, -1):
        if "|" in lines[i] and "|" in lines[i - 1] and all(_RULE_CELL.fullmatch(cell) for cell in _cells(lines[i])):
            return _read(lines[i - 1], lines[i + 1 :])
    return None


def as_number(cell: str) -> Decimal | None:
    """ "12,345.60" and "15 %", too."""
    found = _NUMBER.fullmatch(cell.strip())
    return Decimal(found[1].replace(",", "")) if found else None


def _read(header: str, below: Sequence[str]) -> Table:
    headers = tuple(re.sub(r"\\(.)", r"\1", name) for name in _cells(header))
    rows: list[tuple[str, ...]] = []
    for line in below:
        if "|" not in line:
            break
        cells = _cells(line)
        rows.append((*cells, *[""] * len(headers))[: len(headers)])
    return Table(headers, tuple(rows))


def _cells(line: str) -> tuple[str, ...]:
    inner = line.strip().removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    parts, position = [], 0
    while position <= len(inner):
        found = _CELL.match(inner, position)
        end = found.end() if found else position
        parts.append(inner[position:end].strip())
        position = end + 1
    return tuple(parts)
