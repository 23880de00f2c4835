"""What a statement would keep in PostgreSQL's memory, by the server's own plan, before it runs.

`work_mem` bounds sorts and hash tables, which then use files. Nothing bounds the value that `array_agg` or `string_agg`
makes of a million rows, so a statement that would gather too much is refused. The planner knows how many rows a join
has, and how long they are: https://www.postgresql.org/docs/current/using-explain.html
"""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from aiostream_server.tools.sql.bounds import MAX_PADDING
from aiostream_server.tools.sql.errors import QueryFailed

_CALL: Final = re.compile(r"(?<!\(\()\b((?:array|string|json|jsonb|json_object|jsonb_object|xml|range)_?agg)\(")
_BYTES: Final[Mapping[str, tuple[int, int]]] = {  # measured: for each row, and for each byte of it
    "array_agg": (100, 25),
    "jsonb_agg": (150, 25),
    "jsonb_object_agg": (250, 25),
    "json_agg": (60, 5),
    "json_object_agg": (100, 5),
    "string_agg": (30, 3),
}
_MOST_EACH: Final = (250, 25)
_NAMED_LENGTH: Final = re.compile(r"\b(?:lpad|rpad|round|trunc|power|exp|numeric)\b")
_REPEATED: Final = re.compile(r"\brepeat\(")
_NUMBER: Final = re.compile(r"\b\d{1,6}\b")
_BYTES_PER_DIGIT: Final = 4
_ARRAY_QUERY: Final = re.compile(r"\bARRAY\s*\(\s*(?:SELECT|WITH|VALUES|\()", re.IGNORECASE)
_WORKING: Final[Mapping[str, int]] = {
    **dict.fromkeys(("Sort", "Incremental Sort", "Materialize", "WindowAgg", "CTE Scan", "Function Scan"), 1),
    **dict.fromkeys(("Hash", "Aggregate", "SetOp", "Memoize", "Recursive Union", "Table Function Scan"), 2),
}
_MILLION: Final = 1_000_000
_ASSUMED_PAGES: Final = 10  # of a table that is smaller and was never analyzed
SMALL_TABLES: Final = """
    SELECT n.nspname::text, c.relname::text, pg_catalog.pg_relation_size(c.oid) / 8192
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.reltuples <= 0 AND c.relkind IN ('r', 'm') AND c.relname = ANY($1)
"""
"""Schema, name and pages of those tables of these names that were never analyzed."""

Pages: TypeAlias = Mapping[tuple[str, str], int]
"""By schema and name."""


class GathersTooMuch(QueryFailed):
    """The statement would keep too much in memory."""


def check_plan(sql: str, plan: Mapping[str, Any], most_bytes: int, small: Pages) -> None:
    """Raises `GathersTooMuch`. `plan` is that of `EXPLAIN (FORMAT JSON, VERBOSE)`, `small` are from `SMALL_TABLES`."""
    _Reader(most_bytes, small, has_array_query=_ARRAY_QUERY.search(sql) is not None).longest_value(plan)


def working_nodes(plan: Mapping[str, Any]) -> int:
    """How many steps of the plan may use `work_mem`; those that hash may use it twice."""
    return _WORKING.get(plan["Node Type"], 0) + sum(working_nodes(child) for child in plan.get("Plans", ()))


def scanned(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Schema and name of the tables that are read, once for each time."""
    if "Relation Name" in plan:
        yield plan.get("Schema", ""), plan["Relation Name"]
    for child in plan.get("Plans", ()):
        yield from scanned(child)


class _Reader:
    def __init__(self, most_bytes: int, small: Pages, *, has_array_query: bool) -> None:
        self._most_bytes: Final = most_bytes
        self._has_array_query: Final = has_array_query
        self._small: Final = small
        self._ctes: Final[dict[str, float]] = {}

    def longest_value(self, node: Mapping[str, Any]) -> float:
        """The bytes of the longest gathered value that the node's rows can hold."""
        inner = self._ctes.get(node.get("CTE Name", ""), 0.0)
        below: list[Mapping[str, Any]] = node.get("Plans", [])
        # A WITH query is planned below the first node that can see it, and must be known before it is read.
        for child in sorted(below, key=lambda each: each["Parent Relationship"] != "InitPlan"):
            value = self.longest_value(child)
            name = child.get("Subplan Name", "")
            if name.startswith("CTE "):
                self._ctes[name.removeprefix("CTE ")] = value
            else:
                inner = max(inner, value, self._array_of(child, value))
        calls = list(_gathering(node)) if node["Node Type"] in ("Aggregate", "WindowAgg") else []
        read = next((child for child in below if child["Parent Relationship"] == "Outer"), None)
        if not calls or read is None:
            return inner
        rows = float(read["Plan Rows"]) * self._correction(read)
        gathered = rows * sum(_row_bytes(name, text, max(read["Plan Width"], inner)) for name, text in calls)
        self._check(gathered, rows, calls[0][0])
        groups = 1.0 if node["Node Type"] == "WindowAgg" else max(1.0, float(node["Plan Rows"]))
        return max(inner, gathered / groups)

    def _array_of(self, node: Mapping[str, Any], value: float) -> float:
        """The bytes of `ARRAY(SELECT ...)`. The plan does not tell it from another subquery that gives one value."""
        if not self._has_array_query or node["Parent Relationship"] not in ("InitPlan", "SubPlan"):
            return 0.0
        rows = float(node["Plan Rows"]) * self._correction(node)
        gathered = rows * _row_bytes("array_agg", "", max(node["Plan Width"], value))
        self._check(gathered, rows, "ARRAY(SELECT ...)")
        return gathered

    def _check(self, gathered: float, rows: float, by: str) -> None:
        if gathered > self._most_bytes:
            shown = f"{rows / _MILLION:,.0f} million" if rows >= _MILLION else f"{rows:,.0f}"
            raise GathersTooMuch(
                f"stopped before it ran: it would gather about {shown} rows with {by}, which needs more than "
                f"{self._most_bytes >> 20} MiB of memory: use fewer or shorter rows, or count and sum them instead"
            )

    def _correction(self, node: Mapping[str, Any]) -> float:
        """The planner takes a small table that was never analyzed for one of ten pages."""
        pages = [self._small.get(table, _ASSUMED_PAGES) for table in scanned(node)]
        return math.prod(min(_ASSUMED_PAGES, max(1, each)) / _ASSUMED_PAGES for each in pages)


def _gathering(node: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The gathering functions that the node calls, each with the text of the column that it is in.

    `((string_agg(...)))` is not a call, but the value of one further down.
    """
    output: Sequence[str] = node.get("Output", [])
    for text in output:
        for call in _CALL.finditer(text):
            yield call[1], text


def _row_bytes(name: str, text: str, width: float) -> float:
    """What one more row adds, where `text` is the expression that is gathered and what surrounds it."""
    pieces = max(1, text.count("||"), text.count("%"), text.count(", ") - 1)
    # Constants are in the text as a whole. The other lengths are named: lpad(name, 1000), round(total, 200).
    named = [int(number) for number in _NUMBER.findall(text)] if _NAMED_LENGTH.search(text) else []
    if _REPEATED.search(text):
        pieces *= max((int(number) for number in _NUMBER.findall(text)), default=MAX_PADDING)
    fixed, each = _BYTES.get(name, _MOST_EACH)
    return fixed + each * pieces * width + len(text) + _BYTES_PER_DIGIT * max(named, default=0)
