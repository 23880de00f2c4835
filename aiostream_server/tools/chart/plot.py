"""Makes a `Plot` of rows and arguments, or says in one line why there is none.

What is too much for a picture is left out and counted, and the picture says so.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, TypeVar

from aiostream_server.tools.chart.arguments import ChartArguments, ChartProblem, Kind, Order
from aiostream_server.tools.chart.columns import Amounts, amounts, are_amounts, cell_name, days, find_column, midnights
from aiostream_server.tools.chart.durations import Unit, best_unit
from aiostream_server.tools.chart.labels import TITLE_CHARS, column_title, safe_label
from aiostream_server.tools.sql.cells import Cell

Axis: TypeAlias = Literal["names", "numbers", "dates"]

MOST_ROWS: Final = 5_000
MOST_BARS: Final = 30
MOST_NAMES: Final = 60  # of a line over names
MOST_SERIES: Final = 8
MOST_PARTS: Final = 8  # of a pie; the smallest are combined
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True)
class Series:
    """One value for each `x` of the plot; None is a gap."""

    name: str
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """A chart that can be drawn: `axis` says whether `x` holds names, numbers or (`dates`) days since 1970.

    All numbers are finite and all texts short. `notes` say what was left out. Plain values only: a plot travels as JSON
    to the process that draws it.
    """

    kind: Kind
    axis: Axis
    x: tuple[str | float, ...]
    series: tuple[Series, ...]
    title: str
    x_label: str
    y_label: str
    notes: tuple[str, ...] = ()

    @property
    def summary(self) -> str:
        """`line chart: 12 points`, `bar chart: 5 bars, 2 series`."""
        count = len(self.x)
        word = {"bar": "bar", "line": "point", "scatter": "point", "pie": "part"}[self.kind]
        text = f"{self.kind} chart: {count} {word}{'' if count == 1 else 's'}"
        if len(self.series) > 1:
            text += f", {len(self.series)} series"
        return text


def make_plot(columns: Sequence[str], rows: Sequence[Sequence[Cell]], asked: ChartArguments) -> Plot:
    """`rows` have as many cells as there are `columns`. Raises `ChartProblem`."""

    def column(name: str) -> tuple[str, list[Cell]]:
        index = find_column(columns, name)
        return columns[index], [row[index] for row in rows[:MOST_ROWS]]

    if not rows:
        raise ChartProblem("there are no rows to draw")
    x, cells = column(asked.x)
    y = dict(column(name) for name in asked.y)
    series, unit, not_finite = _series({name: amounts(name, values) for name, values in y.items()})
    draft = _split(cells, column(asked.split_by)[1], series[0].values) if asked.split_by else _Draft(cells, series)
    if not_finite:
        draft.notes.append(_left_out(not_finite, "value", "(NaN or infinite)"))
    if len(rows) > MOST_ROWS:
        draft.notes.append(_left_out(len(rows) - MOST_ROWS, "row"))
    _arrange(draft, x, asked)
    if all(value is None for each in draft.series for value in each.values):
        what = "NULL, NaN or infinite" if not_finite else "NULL"
        raise ChartProblem(f"there are no numbers to draw: every value is {what}")
    x_title, y_title = column_title(x), column_title(*y) if len(y) == 1 else ""
    default_title = f"{y_title or 'Values'} by {x_title.lower()}"
    return Plot(
        asked.kind,
        draft.axis,
        draft.x,
        tuple(draft.series),
        title=safe_label(asked.title, TITLE_CHARS) or safe_label(default_title, TITLE_CHARS),
        x_label=_with_unit(x_title, draft.x_unit),
        y_label=_with_unit(y_title, unit),
        notes=tuple(draft.notes),
    )


def _arrange(draft: "_Draft", x: str, asked: ChartArguments) -> None:
    """Give each value its place on the axis of x, or its part of the pie."""
    match asked.kind:
        case "pie":
            _make_parts(draft, asked.order)
        case "bar":
            draft.sort(asked.order)
            draft.cut(MOST_BARS, "bar")
            draft.name_cells()
        case "line" | "scatter":
            _make_points(draft, x, asked)


def _series(y: Mapping[str, Amounts]) -> tuple[list[Series], Unit | None, int]:
    """The series, durations in the unit that suits the longest of all, and how many values are not finite."""
    not_finite = sum(each.not_finite for each in y.values())
    durations = [each for each in y.values() if each.are_durations]
    if not durations:
        return [Series(column_title(name), each.values) for name, each in y.items()], None, not_finite
    if len(durations) < len(y):
        raise ChartProblem("durations and numbers have no axis in common: draw them in two charts")
    unit = best_unit([value for each in durations for value in each.values])
    return [Series(column_title(name), _in_unit(each.values, unit)) for name, each in y.items()], unit, not_finite


def _in_unit(values: Sequence[float | None], unit: Unit) -> tuple[float | None, ...]:
    return tuple(None if value is None else value / unit.seconds for value in values)


def _with_unit(label: str, unit: Unit | None) -> str:
    """`Waiting time (hours)`, `hours`"""
    if unit is None:
        return label
    return f"{label} ({unit.name})" if label else unit.name.capitalize()


@dataclass(slots=True)
class _Draft:
    """A plot in the making. `cells` are the values of x, one for each value of a series."""

    cells: list[Cell]
    series: list[Series]
    notes: list[str] = field(default_factory=list)
    axis: Axis = "names"
    x: tuple[str | float, ...] = ()
    x_unit: Unit | None = None

    def keep(self, chosen: Sequence[int]) -> None:
        """Keep only the places with these indices, in this order."""
        self.cells = _chosen(self.cells, chosen)
        self.series = [Series(each.name, tuple(_chosen(each.values, chosen))) for each in self.series]

    def cut(self, most: int, what: str) -> None:
        if (more := len(self.cells) - most) > 0:
            self.keep(range(most))
            self.notes.append(_left_out(more, what))

    def sort(self, order: Order) -> None:
        if order != "as given":
            sign = 1 if order == "ascending" else -1
            self.keep(sorted(range(len(self.cells)), key=lambda index: sign * self.weight(index)))

    def name_cells(self) -> None:
        self.axis, self.x = "names", tuple(midnights(self.cells) or map(cell_name, self.cells))

    def weight(self, index: int) -> float:
        """The sum of all series at this place, by which places are ordered."""
        return sum(each.values[index] or 0.0 for each in self.series)


def _split(cells: Sequence[Cell], names: Sequence[Cell], values: Sequence[float | None]) -> _Draft:
    """One series for each different name, over the same x."""
    found: dict[Cell, dict[Cell, float | None]] = {}
    for cell, name, value in zip(cells, names, values, strict=True):
        there = found.setdefault(name, {})
        if cell in there:
            raise ChartProblem(
                f"more than one row has {cell_name(cell)!r} and {cell_name(name)!r}: add them up in the query"
            )
        there[cell] = value
    chosen, notes = list(found), list[str]()
    if len(found) > MOST_SERIES:  # choose before making lists: each list is as long as x
        sizes = [sum(abs(value or 0.0) for value in there.values()) for there in found.values()]
        largest = sorted(range(len(sizes)), key=lambda index: -sizes[index])[:MOST_SERIES]
        notes.append(f"the {MOST_SERIES} largest of {len(sizes)} series are shown")
        chosen = _chosen(chosen, sorted(largest))
    places = list(dict.fromkeys(cells))
    return _Draft(places, [Series(cell_name(name), tuple(map(found[name].get, places))) for name in chosen], notes)


def _make_parts(draft: _Draft, order: Order) -> None:
    """Sort the largest part first, unless another order is asked for, and combine the smallest parts."""
    (series,) = draft.series
    if any(value is not None and value < 0 for value in series.values):
        raise ChartProblem("a pie cannot show negative numbers: draw bars")
    there = [index for index, value in enumerate(series.values) if value]
    if not there:
        raise ChartProblem("a pie needs numbers that are more than 0")
    if missing := len(series.values) - len(there):
        draft.notes.append(_left_out(missing, "part", "without a value"))
    draft.keep(there)
    largest = sorted(range(len(there)), key=lambda index: -draft.weight(index))
    rest: list[int] = []
    if len(largest) > MOST_PARTS:
        largest, rest = largest[: MOST_PARTS - 1], largest[MOST_PARTS - 1 :]
    others = math.fsum(draft.weight(index) for index in rest)
    if order == "ascending":
        largest.reverse()
    elif order == "as given" and days(draft.cells) is not None:
        largest.sort()
    draft.keep(largest)
    draft.name_cells()
    if rest:
        draft.x = (*(str(name) for name in draft.x), f"Other ({len(rest)})")
        (series,) = draft.series
        draft.series = [Series(series.name, (*series.values, others))]
        draft.notes.append(f"{len(rest)} small parts are put together")


def _make_points(draft: _Draft, x: str, asked: ChartArguments) -> None:
    there = [index for index, cell in enumerate(draft.cells) if cell is not None]
    if missing := len(draft.cells) - len(there):
        draft.notes.append(_left_out(missing, "point", f"without {safe_label(x)}"))
        draft.keep(there)
    if not draft.cells:
        raise ChartProblem(f"the column {safe_label(x)!r} is empty")
    places: Sequence[float | None]
    if (there_days := days(draft.cells)) is not None:
        draft.axis, places, beyond = "dates", there_days, "beyond the calendar"
    elif are_amounts(x, draft.cells) or asked.kind == "scatter":
        draft.axis, beyond = "numbers", f"where {safe_label(x)} is NaN or infinite"
        places = _numbers(draft, x)
    else:
        draft.sort(asked.order)
        draft.cut(MOST_NAMES, "point")
        draft.name_cells()
        return
    found = {index: place for index, place in enumerate(places) if place is not None}
    if missing := len(places) - len(found):
        draft.notes.append(_left_out(missing, "point", beyond))
    if not found:
        raise ChartProblem(f"the column {safe_label(x)!r} has no value that has a place on an axis")
    in_order = sorted(found, key=found.__getitem__)
    draft.keep(in_order)
    draft.x = tuple(found[index] for index in in_order)
    if asked.kind == "scatter":
        gaps = sum(1 for each in draft.series for value in each.values if value is None)
        if gaps and asked.split_by is None:
            draft.notes.append(_left_out(gaps, "point", "without a value"))


def _numbers(draft: _Draft, x: str) -> Sequence[float | None]:
    there = amounts(x, draft.cells)
    if not there.are_durations:
        return there.values
    draft.x_unit = best_unit(there.values)
    return _in_unit(there.values, draft.x_unit)


def _chosen(items: Sequence[_Item], indices: Sequence[int]) -> list[_Item]:
    return [items[index] for index in indices]


def _left_out(count: int, what: str, why: str = "") -> str:
    more = "" if why else "more "
    return f"{count} {more}{what}{'' if count == 1 else 's'}{f' {why}' if why else ''} left out"
