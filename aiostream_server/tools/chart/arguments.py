"""The arguments of a chart: their JSON schema, their types, and reading them from what a model wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, get_args

Kind: TypeAlias = Literal["bar", "line", "scatter", "pie"]
Order: TypeAlias = Literal["as given", "ascending", "descending"]
Format: TypeAlias = Literal["png", "svg"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
ORDERS: Final[tuple[Order, ...]] = get_args(Order)
MEDIA_TYPES: Final[Mapping[Format, str]] = {"png": "image/png", "svg": "image/svg+xml"}
MOST_Y: Final = 8
_COLUMN_CHARS: Final = 500

PARAMETERS: Final[Mapping[str, Any]] = {
    "kind": {
        "type": "string",
        "enum": list(KINDS),
        "description": "line: a course over time or a number; bar: compare categories; pie: parts of a whole; "
        "scatter: how two numbers go together.",
    },
    "x": {"type": "string", "description": "The column for the x axis; of a pie, the names of its parts."},
    "y": {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
        "maxItems": MOST_Y,
        "description": "The columns of numbers to draw: one series each.",
    },
    "split_by": {
        "type": "string",
        "description": 'A column with one value for each series of the one y column; "" for none.',
    },
    "title": {"type": "string", "description": "A short title, in the language of the question."},
    "order": {
        "type": "string",
        "enum": list(ORDERS),
        "description": "Of bars and pies: by their numbers, or as the rows are. Lines are in the order of x.",
    },
}
"""JSON schema of each argument; `kind`, `x` and `y` are required."""

REQUIRED: Final = ("kind", "x", "y")


class ChartProblem(ValueError):
    """The chart that was asked for is impossible: one line for the model says what is wrong."""


class ChartNotDrawn(Exception):
    """The chart is possible, but drawing it failed: one line says why."""


@dataclass(frozen=True, slots=True)
class ChartArguments:
    """What was asked for. The column names are not yet compared with those of the rows."""

    kind: Kind
    x: str
    y: tuple[str, ...]
    split_by: str | None = None
    title: str = ""
    order: Order = "as given"


def read_arguments(given: Mapping[str, Any]) -> ChartArguments:
    """Raises `ChartProblem`. `y` may be one column without a list; optional arguments may be null or empty."""
    if unknown := [name for name in given if name not in PARAMETERS]:
        raise ChartProblem(f"there is no argument {str(unknown[0])[:80]!r}; there are {', '.join(PARAMETERS)}")
    kind = given.get("kind")
    if kind not in KINDS:
        raise ChartProblem(f"kind must be one of {', '.join(KINDS)}")
    order = given.get("order") or "as given"
    if order not in ORDERS:
        raise ChartProblem(f"order must be one of {', '.join(ORDERS)}")
    title = given.get("title") or ""
    if not isinstance(title, str):
        raise ChartProblem("title must be text")
    x, y = _column("x", given.get("x")), _columns(given.get("y"))
    split_by = _column("split_by", given["split_by"]) if given.get("split_by") else None
    if kind == "pie" and (len(y) > 1 or split_by):
        raise ChartProblem("a pie shows one column of numbers: give one y, and no split_by; or draw bars")
    if split_by and len(y) > 1:
        raise ChartProblem("with split_by there is one y column")
    return ChartArguments(kind, x, y, split_by, title, order)


def _column(name: str, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _COLUMN_CHARS:
        raise ChartProblem(f"{name} must be the name of a column")
    return value


def _columns(value: object) -> tuple[str, ...]:
    columns = [value] if isinstance(value, str) else value
    if not isinstance(columns, Sequence) or not columns or isinstance(columns, bytes):
        raise ChartProblem("y must be a list of one or more columns")
    if len(columns) > MOST_Y:
        raise ChartProblem(f"y may be {MOST_Y} columns at most")
    return tuple(dict.fromkeys(_column("y", each) for each in columns))
