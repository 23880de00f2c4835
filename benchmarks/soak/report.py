"""What `scripts/soak` has measured, as a table for a page of the documentation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from benchmarks.figures import Figure


@dataclass(frozen=True, slots=True)
class Row:
    """`test` is what to run for this row alone, in Markdown."""

    promise: str
    test: str
    figure: str
    is_kept: bool


@dataclass(frozen=True, slots=True)
class Report:
    """One of the two tables. `command` measures it; `promises` says what each of its parts shows."""

    command: str
    introduction: str
    promises: Mapping[str, str]

    @property
    def heading(self) -> str:
        return f"## One run of `{self.command}`"

    def section(self, rows: Sequence[Row], machine: str) -> str:
        """The section of the page, with its heading."""
        lines = [
            self.heading,
            "",
            self.introduction,
            "",
            "| promise | test | figure | machine |",
            "| --- | --- | --- | --- |",
            *(f"| {row.promise} | {row.test} | {_cell(row)} | {machine} |" for row in rows),
        ]
        return "\n".join(lines) + "\n"


SERVER: Final = Report(
    "scripts/soak",
    "Written by `scripts/soak --docs`: what the parts of the soak and the tests above have measured in one run.",
    {
        "streams": "Many streams at once lose no event, reorder none, and tell each in time",
        "stopping": "SIGTERM during many streams ends each of them well-formed",
        "leaks": "Runs that finish, fail, are refused, cancelled or left leave no task, file or memory behind",
        "never-reading": "Clients that never read delay no other, and cost little memory",
        "vanish": "A client that vanishes without a word is noticed",
    },
)
CLUSTER: Final = Report(
    "scripts/soak cluster",
    "Written by `scripts/soak cluster --docs`: real servers, a real Redis, nginx, and network namespaces.",
    {
        "death": "`kill -9` of a server: its streams elsewhere, and those of clients that reconnect, end well-formed",
        "pause": "A server that was paused for longer than its lease changes nothing any more",
        "cuts": "A server that is cut off from Redis serves on, and changes nothing of what others have ended",
        "outage": "While Redis is away streams go on and questions are answered; afterwards the log is whole",
        "upgrade": "A rolling upgrade behind nginx, under load, refuses nothing and breaks no answer",
        "round-robin": "Clients behind a proxy without sticky sessions resume, cancel, list and repeat anywhere",
        "quota": "A limit counts for all servers together; a slot that is free is taken at once",
        "elsewhere": "A viewer at another server sees tokens, and cancels, almost as one at the run's own",
    },
)


def row_of(part: str, figures: Sequence[Figure], report: Report = SERVER) -> Row:
    """A part of the soak in one row, with the target of each figure that has one."""
    told = [f"{each.what}: {each.measured}" + (f" ({each.target})" if each.target else "") for each in figures]
    is_kept = all(each.is_met is not False for each in figures)
    return Row(report.promises[part], f"`{report.command} --only {part}`", "; ".join(told), is_kept)


def with_section(page: str, report: Report, new: str) -> str:
    """The page with the section in place of its former one, at the end."""
    return f"{page.partition(report.heading)[0].rstrip()}\n\n{new}"


def _cell(row: Row) -> str:
    figure = " ".join(row.figure.replace("|", "\\|").replace("<", "&lt;").split())
    return figure if row.is_kept else f"{figure} **missed**"
