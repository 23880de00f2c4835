"""Tables of the pages in `docs/`, as tests compare them with the code."""

import re
from pathlib import Path
from typing import NamedTuple

DOCS = Path(__file__).parents[2] / "docs"


class RequestField(NamedTuple):
    """A row of the table "Request fields". `treatment` is applied, passed on, ignored or refused."""

    name: str
    treatment: str
    how: str


def table(page: str, heading: str) -> list[tuple[str, ...]]:
    """The rows of the table under a heading of the page, without code quotes around a whole cell."""
    section = (DOCS / page).read_text("utf-8").split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [tuple(re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in row) for row in rows[2:]]


def request_fields(page: str) -> list[RequestField]:
    return [RequestField(*row) for row in table(page, "Request fields")]


def heeded(page: str) -> set[str]:
    """The names of the fields that are not ignored."""
    return {field.name for field in request_fields(page) if field.treatment != "ignored"}
