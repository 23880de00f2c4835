"""Draws bars, lines and dots on matplotlib axes, with round numbers and names beside them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import MaxNLocator

from aiostream_server.tools.chart.labels import display_width, month_labels, short_number, tick_label
from aiostream_server.tools.chart.plot import Plot
from aiostream_server.tools.chart.style import BASELINE, INK, colour

_LETTER_IN: Final = 0.092  # width of a letter of tick labels
_PLOT_IN: Final = 7.0  # the figure's width without the margins
_MOST_LABELLED: Final = 12
_MOST_VERTICAL: Final = 24  # bars
_MOST_MARKED: Final = 26
_STEPS: Final = (1, 2, 2.5, 5, 10)
_YEARS: Final = (1800, 2200)
_BESIDE: Final = ("", "%Y", "%Y", "%d %b %Y", "%d %b %Y", "%d %b %Y %H:%M")
"""For axes of years, months, days, hours, minutes, seconds: the part of the date that the ticks leave out."""


def draw_bars(axes: Axes, plot: Plot) -> None:
    """Vertical bars where their names fit below them, else horizontal ones."""
    is_vertical = has_vertical_bars(plot)
    draw = axes.bar if is_vertical else axes.barh
    places = np.arange(len(plot.x))
    thick = 0.78 / len(plot.series)
    for number, series in enumerate(plot.series):
        at = places + (number - (len(plot.series) - 1) / 2) * thick
        bars = draw(at, [value or 0.0 for value in series.values], thick * 0.94, color=colour(number))
    names = [str(name) for name in plot.x]
    if is_vertical:
        axes.set_xticks(places, month_labels(names) or names)
        axes.set_xlim(-0.6, len(places) - 0.4)
        axes.axhline(0, color=BASELINE, lw=1)
        axes.set_xlabel(plot.x_label)
    else:
        axes.set_yticks(places, names)
        axes.set_ylim(len(places) - 0.4, -0.6)
        axes.axvline(0, color=BASELINE, lw=1)
    axes.spines[:].set_visible(False)
    _value_axis(axes, plot, "y" if is_vertical else "x")
    if len(plot.series) == 1 and (not is_vertical or len(plot.x) <= _MOST_LABELLED):
        texts = ["" if value is None else short_number(value) for value in plot.series[0].values]
        axes.bar_label(bars, texts, padding=4, size=9.5, color=INK)
        axes.margins(x=None if is_vertical else 0.12, y=0.12 if is_vertical else None)


def has_vertical_bars(plot: Plot) -> bool:
    """Whether the names of the bars fit below them."""
    names = [str(name) for name in plot.x]
    if len(names) > _MOST_VERTICAL:
        return False
    widest = 0 if month_labels(names) else max(map(display_width, names))
    return widest * _LETTER_IN <= 0.94 * _PLOT_IN / len(names)


def draw_lines(axes: Axes, plot: Plot) -> None:
    """Lines in the order of x, with a gap where a value is missing."""
    at = _positions(axes, plot)
    # The smaller marker is as wide as the line: it shows only where a point stands between two gaps.
    markersize = 5.5 if len(plot.x) <= _MOST_MARKED else 3.0
    for number, series in enumerate(plot.series):
        axes.plot(
            at,
            np.array(series.values, dtype=float),  # NaN for None
            color=colour(number),
            lw=2.2,
            solid_capstyle="round",
            solid_joinstyle="round",
            marker="o",
            markersize=markersize,
            markeredgewidth=0,
        )
    _value_axis(axes, plot, "y")
    low, _ = _extent(plot)
    if low >= 0 and axes.get_ylim()[0] <= 0:
        axes.set_ylim(bottom=0)
        if len(plot.series) == 1:
            axes.fill_between(at, np.array(plot.series[0].values, dtype=float), color=colour(0), alpha=0.09, lw=0)
    elif low < 0:
        axes.axhline(0, color=BASELINE, lw=1)


def draw_dots(axes: Axes, plot: Plot) -> None:
    """One dot for each value."""
    at = _positions(axes, plot)
    size = 46 if len(plot.x) <= 200 else 22
    for number, series in enumerate(plot.series):
        values = np.array(series.values, dtype=float)
        axes.scatter(at, values, s=size, color=colour(number), alpha=0.8, lw=0)
    axes.grid(axis="x")
    _value_axis(axes, plot, "y")


def _positions(axes: Axes, plot: Plot) -> Sequence[float]:
    axes.set_xlabel(plot.x_label)
    axes.margins(x=0.03)
    if plot.axis == "names":
        _label_names(axes, [str(name) for name in plot.x])
        return range(len(plot.x))
    at = [float(value) for value in plot.x]
    if plot.axis == "dates":
        locator = AutoDateLocator(minticks=3, maxticks=13)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        formatter = ConciseDateFormatter(locator, offset_formats=list(_BESIDE))  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_formatter(formatter)
        axes.xaxis.get_offset_text().set(color=INK, size=9.5)
        if len(set(at)) == 1:
            axes.set_xlim(at[0] - 1, at[0] + 1)
    else:
        is_whole = all(value.is_integer() for value in at)
        axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=_STEPS, integer=is_whole))
        are_years = is_whole and _YEARS[0] <= min(at) and max(at) <= _YEARS[1]
        axes.xaxis.set_major_formatter("{x:.0f}" if are_years else tick_label)
    return at


def _label_names(axes: Axes, names: Sequence[str]) -> None:
    """Label as many names as fit."""
    labels = month_labels(names) or names
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
    is_whole = all(value is None or value.is_integer() for each in plot.series for value in each.values)
    axis.set_major_locator(MaxNLocator(nbins=6, steps=_STEPS, integer=is_whole and high - low < 1e15))
    axis.set_major_formatter(tick_label)
    axis.grid()
    axes.spines["left" if side == "y" else "bottom"].set_visible(False)
    axis.set_label_text(plot.y_label)


def _extent(plot: Plot) -> tuple[float, float]:
    values = [value for each in plot.series for value in each.values if value is not None]
    return min(values), max(values)
