"""Fair questions: what analysts, dashboards and models ask of a database, for both databases.

`fair/*.sql` holds questions written by hand: dashboards, reports, exercises, text-to-SQL sets, and the words of each
database. `fair/shapes.template` holds usual shapes of questions, asked of each fact table. `_STYLES` wrap a question
as tools do. A statement counts only where the database's plain client answers it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from aiostream_server.tools.sql.dialects import DialectName

FOLDER: Final = Path(__file__).with_name("fair")


class Fact(NamedTuple):
    """A table with things to count: a measure, a category, a key of another table, and a point in time."""

    table: str
    measure: str
    category: str
    key: str
    date: str
    other: str
    name: str


FACTS: Final = (
    Fact("orders", "total", "channel", "customer_id", "ordered_on", "customers", "name"),
    Fact("employees", "salary", "level", "department_id", "hired_on", "departments", "name"),
    Fact("tickets", "id", "priority", "customer_id", "opened_at", "customers", "name"),
    Fact("customers", "id", "segment", "region_id", "joined_on", "regions", "name"),
)
MONTHS: Final[dict[DialectName, str]] = {
    "sqlite": "strftime('%Y-%m', {date})",
    "postgres": "date_trunc('month', {date})",
}
_STYLES: Final = (
    "WITH base AS (\n{sql}\n) SELECT COUNT(*) AS row_count FROM base",
    "SELECT * FROM (\n  {sql}\n) AS subquery LIMIT 5",
)


def read_statements(path: Path) -> list[str]:
    """The statements of a file. Each ends with a semicolon at the end of a line; `--` starts a comment before it."""
    found: list[str] = []
    lines: list[str] = []
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("--") and not lines:
            continue
        lines.append(line)
        if line.endswith(";"):
            found.append("\n".join(lines))
            lines = []
    assert not lines, f"{path} ends within a statement"
    return found


def fair_statements(dialect: DialectName, *, held_back: bool) -> list[str]:
    """The questions that the guard was tuned on, or those that were written afterwards (`fair/*-held.sql`)."""
    asked = [sql for path in _files(dialect, held_back=held_back) for sql in read_statements(path)]
    if not held_back:
        asked += _shaped(dialect)
    styled = [_STYLES[place % len(_STYLES)].format(sql=sql.rstrip("; \n")) for place, sql in enumerate(asked[::2])]
    return [*asked, *styled]


def _files(dialect: DialectName, *, held_back: bool) -> Iterator[Path]:
    ending = "-held.sql" if held_back else ".sql"
    yield from (FOLDER / f"either{ending}", FOLDER / f"{dialect}{ending}")


def _shaped(dialect: DialectName) -> Iterator[str]:
    for fact in FACTS:
        month = MONTHS[dialect].format(date=fact.date)
        for shape in read_statements(FOLDER / "shapes.template"):
            yield shape.format(month=month, **fact._asdict())
