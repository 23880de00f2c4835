"""What `scripts/soak` has measured, as a table for docs/reliability.md."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Figure

HEADING: Final = "## One run of `scripts/soak`"

_PROMISES: Final = {
    "streams": "Many streams at once lose no event, reorder none, and tell each in time",
    "stopping": "SIGTERM during many streams ends each of them well-formed",
    "leaks": "Runs that finish, fail, are refused, cancelled or left leave no task, file or memory behind",
    "never-reading": "Clients that never read delay no other, and cost little memory",
    "vanish": "A client that vanishes without a word is noticed",
}


@dataclass(frozen=True, slots=True)
class Row:
    """`test` is what to run for this row alone, in Markdown."""

    promise: str
    test: str
    figure: str
    is_kept: bool


def row_of(part: str, figures: Sequence[Figure]) -> Row:
    """A part of the soak in one row, with the target of each figure that has one."""
    told = [f"{each.what}: {each.measured}" + (f" ({each.target})" if each.target else "") for each in figures]
    is_kept = all(each.is_met is not False for each in figures)
    return Row(_PROMISES[part], f"`scripts/soak --only {part}`", "; ".join(told), is_kept)


def section(rows: Sequence[Row], machine: str) -> str:
    """The section of docs/reliability.md, with its heading."""
    lines = [
        HEADING,
        "",
        "Written by `scripts/soak --docs`: what the parts of the soak and the tests above have measured in one run.",
        "",
        "| promise | test | figure | machine |",
        "| --- | --- | --- | --- |",
        *(f"| {row.promise} | {row.test} | {_cell(row)} | {machine} |" for row in rows),
    ]
    return "\n".join(lines) + "\n"


def with_section(page: str, new: str) -> str:
    """The page with the section in place of its former one, at the end."""
    return f"{page.partition(HEADING)[0].rstrip()}\n\n{new}"


def _cell(row: Row) -> str:
    figure = " ".join(row.figure.replace("|", "\\|").replace("<", "&lt;").split())
    return figure if row.is_kept else f"{figure} **missed**"
