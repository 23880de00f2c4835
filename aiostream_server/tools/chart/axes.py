"""Draws bars, lines and dots on matplotlib axes, with round numbers and names beside them."""

import itertools
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator

from aiostream_server.tools.chart.labels import are_years, display_width, month_labels, short_number, tick_label
from aiostream_server.tools.chart.plot import Plot
from aiostream_server.tools.chart.style import BACKGROUND, BASELINE, GRID, INK, MUTED, colour

_LETTER_IN: Final = 0.092  # width of a letter of tick labels
_PLOT_IN: Final = 7.0  # the figure's width without the margins
_MOST_LABELLED: Final = 12
_MOST_VERTICAL: Final = 24  # bars
_MOST_MARKED: Final = 26
_STEPS: Final = (1, 2, 2.5, 5, 10)
_BESIDE: Final = ("", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M")
"""For axes of years, months, days, hours, minutes, seconds: the part of the date that the ticks leave out."""


def draw_bars(axes: Axes, plot: Plot) -> None:
    """Vertical bars where their names fit below them, else horizontal ones."""
    is_vertical = has_vertical_bars(plot)
    places = np.arange(len(plot.x))
    thick = 0.78 / len(plot.series)
    for number, series in enumerate(plot.series):
        at = places + (number - (len(plot.series) - 1) / 2) * thick
        sizes = [0.0 if value is None else value for value in series.values]
        if is_vertical:
            axes.bar(at, sizes, thick * 0.94, color=colour(number))
        else:
            axes.barh(at, sizes, thick * 0.94, color=colour(number))
    names = [str(name) for name in plot.x]
    if is_vertical:
        axes.set_xticks(places, month_labels(names) or names)
        axes.set_xlim(-0.6, len(places) - 0.4)
        _value_axis(axes, plot, "y")
        axes.axhline(0, color=BASELINE, lw=1)
        axes.spines["bottom"].set_visible(False)
        axes.set_xlabel(plot.x_label)
    else:
        axes.set_yticks(places, names)
        axes.set_ylim(len(places) - 0.4, -0.6)
        _value_axis(axes, plot, "x")
        axes.axvline(0, color=BASELINE, lw=1)
        axes.spines["left"].set_visible(False)
    if len(plot.series) == 1 and (not is_vertical or len(plot.x) <= _MOST_LABELLED):
        _label_bars(axes, plot, is_vertical=is_vertical)


def has_vertical_bars(plot: Plot) -> bool:
    """Whether the names of the bars fit below them."""
    names = [str(name) for name in plot.x]
    if len(names) > _MOST_VERTICAL:
        return False
    widest = 0 if month_labels(names) else max(map(display_width, names))
    return widest * _LETTER_IN <= 0.94 * _PLOT_IN / len(names)


def _label_bars(axes: Axes, plot: Plot, *, is_vertical: bool) -> None:
    for place, value in enumerate(plot.series[0].values):
        if value is None:
            continue
        beyond = 4 if value >= 0 else -4
        axes.annotate(
            short_number(value),
            (place, value) if is_vertical else (value, place),
            xytext=(0, beyond) if is_vertical else (beyond, 0),
            textcoords="offset points",
            ha="center" if is_vertical else ("left" if value >= 0 else "right"),
            va=("bottom" if value >= 0 else "top") if is_vertical else "center_baseline",
            size=9.5,
            color=INK,
        )
    axes.margins(x=None if is_vertical else 0.12, y=0.12 if is_vertical else None)


def draw_lines(axes: Axes, plot: Plot) -> None:
    """Lines in the order of x, with a gap where a value is missing."""
    at = _positions(axes, plot)
    for number, series in enumerate(plot.series):
        values = np.array([np.nan if value is None else value for value in series.values])
        axes.plot(
            at,
            values,
            color=colour(number),
            lw=2.2,
            solid_capstyle="round",
            solid_joinstyle="round",
            marker="o",
            markersize=5.5,
            markeredgecolor=BACKGROUND,
            markeredgewidth=1.2,
            markevery=None if len(plot.x) <= _MOST_MARKED else _lone(values),
        )
    _value_axis(axes, plot, "y")
    low, _ = _extent(plot)
    if low >= 0 and axes.get_ylim()[0] <= 0:
        axes.set_ylim(bottom=0)
        if len(plot.series) == 1 and None not in plot.series[0].values:
            axes.fill_between(at, values, color=colour(0), alpha=0.09, lw=0)
    elif low < 0:
        axes.axhline(0, color=BASELINE, lw=1)


def _lone(values: "np.ndarray[tuple[int], np.dtype[np.float64]]") -> list[int]:
    """The points between two gaps. A line alone does not show them."""
    gaps = np.isnan(np.concatenate(([np.nan], values, [np.nan])))
    return [int(index) for index in np.flatnonzero(~gaps[1:-1] & gaps[:-2] & gaps[2:])]


def draw_dots(axes: Axes, plot: Plot) -> None:
    """One dot for each value."""
    at = np.array(_positions(axes, plot))
    size = 46 if len(plot.x) <= 200 else 22
    for number, series in enumerate(plot.series):
        there = [index for index, value in enumerate(series.values) if value is not None]
        values = [value for value in series.values if value is not None]
        axes.scatter(at[there], values, s=size, color=colour(number), alpha=0.8, edgecolor=BACKGROUND, lw=0.7)
    axes.grid(axis="x")
    _value_axis(axes, plot, "y")


def _positions(axes: Axes, plot: Plot) -> Sequence[float]:
    axes.set_xlabel(plot.x_label)
    axes.margins(x=0.03)
    match plot.axis:
        case "names":
            _name_positions(axes, [str(name) for name in plot.x])
            return range(len(plot.x))
        case "dates":
            at = [float(day) for day in plot.x]
            locator = AutoDateLocator(minticks=3, maxticks=13)  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_locator(locator)
            formatter = ConciseDateFormatter(locator, offset_formats=list(_BESIDE))  # type: ignore[no-untyped-call]
            axes.xaxis.set_major_formatter(formatter)
            axes.xaxis.get_offset_text().set(color=MUTED, size=9.5)
            if len(set(at)) == 1:
                axes.set_xlim(at[0] - 1, at[0] + 1)
            return at
        case _:
            at = [float(value) for value in plot.x]
            is_whole = all(value == round(value) for value in at)
            axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=_STEPS, integer=is_whole))
            axes.xaxis.set_major_formatter(FuncFormatter(_year if are_years(at) else _Ticks(axes, "x")))
            return at


def _name_positions(axes: Axes, names: Sequence[str]) -> None:
    """Label as many names as fit."""
    labels = month_labels(names) or list(names)
    widest = max(max(map(display_width, label.split("\n"))) for label in labels)
    fitting = max(1, int(_PLOT_IN / (widest * _LETTER_IN + 0.12)))
    step = -(-len(labels) // fitting)
    axes.set_xticks(range(0, len(labels), step), labels[::step])


def _value_axis(axes: Axes, plot: Plot, side: str) -> None:
    """A few round numbers, with a grid line for each."""
    axis = axes.yaxis if side == "y" else axes.xaxis
    low, high = _extent(plot)
    if low == high and plot.kind != "bar":
        room = abs(low) * 0.1 or 1.0
        axes.set_ylim(low - room, high + room)
    elif plot.kind == "line" and 0 <= low < 0.7 * high:
        axes.set_ylim(0, high * 1.08)
    is_whole = all(value is None or value == round(value) for each in plot.series for value in each.values)
    axis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS, integer=is_whole and high - low < 1e15))
    axis.set_major_formatter(FuncFormatter(_Ticks(axes, side)))
    axes.grid(axis="y" if side == "y" else "x", color=GRID)
    axes.spines["left" if side == "y" else "bottom"].set_visible(False)
    axis.set_label_text(plot.y_label)


class _Ticks:
    """Formats a tick in the same way as the other ticks of its axis."""

    def __init__(self, axes: Axes, side: str) -> None:
        self._axes = axes
        self._side = side

    def __call__(self, value: float, _: int | None) -> str:
        axis = self._axes.yaxis if self._side == "y" else self._axes.xaxis
        low, high = sorted(axis.get_view_interval())
        ticks = [each for each in axis.get_majorticklocs() if low <= each <= high]
        steps = [after - before for before, after in itertools.pairwise(ticks) if after > before]
        return tick_label(value, min(steps, default=abs(value) or 1.0), max(map(abs, ticks), default=abs(value)))


def _year(value: float, _: int | None) -> str:
    return f"{value:.0f}"


def _extent(plot: Plot) -> tuple[float, float]:
    values = [value for each in plot.series for value in each.values if value is not None]
    return min(values), max(values)
