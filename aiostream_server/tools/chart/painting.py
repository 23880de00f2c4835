"""Draws a `Plot` with matplotlib, without pyplot and without a display; text is never parsed as markup.

Only the worker process imports this module, because importing matplotlib takes 0.5 s.
"""

import io
import warnings
from typing import Final, NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from aiostream_server.tools.chart.arguments import Format
from aiostream_server.tools.chart.axes import draw_bars, draw_dots, draw_lines, has_vertical_bars
from aiostream_server.tools.chart.labels import display_width, short_number, wrap_label
from aiostream_server.tools.chart.plot import Plot
from aiostream_server.tools.chart.style import DPI, GROUND, HEIGHT_IN, INK, WIDTH_IN, colour, settings

_TITLE_LETTERS: Final = 68
_LEGEND_LETTERS: Final = 92  # of a line
_BAR_ROW_IN: Final = 0.30
_GAP: Final = 0.004  # of a ring
_NO_METADATA: Final = {"svg": {"Date": None, "Creator": None}, "png": {"Software": None}}


class Picture(NamedTuple):
    """A picture, and its format."""

    content: bytes
    form: Format


def paint(plot: Plot, form: Format = "png") -> Picture:
    """Draw the plot. Where the installed fonts lack a character, the picture becomes an SVG with text elements.

    The reader's browser, which has more fonts than a server, draws that text.
    """
    content, has_all_letters = _painted(plot, form, text_as_paths=True)
    if has_all_letters:
        return Picture(content, form)
    content, _ = _painted(plot, "svg", text_as_paths=False)
    return Picture(content, "svg")


def _painted(plot: Plot, form: Format, *, text_as_paths: bool) -> tuple[bytes, bool]:
    with (
        mpl.rc_context(settings(text_as_paths=text_as_paths)),
        warnings.catch_warnings(record=True) as told,
    ):
        warnings.simplefilter("always")
        layout = ConstrainedLayoutEngine(w_pad=0.18, h_pad=0.14)  # inches
        drawn = Figure(figsize=(WIDTH_IN, _height(plot)), dpi=DPI, layout=layout)
        title = wrap_label(plot.title, _TITLE_LETTERS)
        drawn.suptitle(title, x=0.022, ha="left", size=14, weight="bold", color=INK)
        if plot.kind == "pie":
            _pie(drawn, plot)
        else:
            _axes(drawn.add_subplot(), plot)
        if plot.notes:
            notes = "; ".join(plot.notes)
            note = wrap_label(f"{notes[:1].upper()}{notes[1:]}.", 110)
            drawn.supxlabel(note, x=0.022, ha="left", size=8.5, color=INK)
        file = io.BytesIO()
        drawn.savefig(file, format=form, metadata=_NO_METADATA[form])
    return file.getvalue(), not any("missing from font" in str(warning.message) for warning in told)


def _height(plot: Plot) -> float:
    rows = len(plot.x) * max(1.0, 0.6 * len(plot.series)) if plot.kind == "bar" and not has_vertical_bars(plot) else 0.0
    return max(HEIGHT_IN, 1.5 + _BAR_ROW_IN * rows)


def _axes(axes: Axes, plot: Plot) -> None:
    match plot.kind:
        case "bar":
            draw_bars(axes, plot)
        case "line":
            draw_lines(axes, plot)
        case _:
            draw_dots(axes, plot)
    _legend(axes, plot)


def _legend(axes: Axes, plot: Plot) -> None:
    """Above the axes, in as few lines as possible."""
    if len(plot.series) < 2:
        return
    longest = max(display_width(each.name) for each in plot.series) + 6
    columns = max(1, min(len(plot.series), _LEGEND_LETTERS // longest))
    axes.legend(
        [axes.plot([], [], lw=5, color=colour(number))[0] for number in range(len(plot.series))],
        [f" {each.name}" for each in plot.series],  # matplotlib may leave out labels that begin with "_"
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=columns,
        handlelength=0.9,
        handletextpad=0.4,
        columnspacing=1.6,
        borderaxespad=0.1,
    )


def _pie(drawn: Figure, plot: Plot) -> None:
    """A ring with a table of its parts beside it. Labels around a pie would overlap."""
    ring, table = drawn.subplots(1, 2, width_ratios=(1, 1.35))
    values = [value or 0.0 for value in plot.series[0].values]
    total = sum(values)
    colours = [colour(number) for number in range(len(values))]
    # matplotlib's own sum of huge numbers overflows. Behind each part comes a gap that shows the page.
    parts = [part for value in values for part in (value / total, _GAP if len(values) > 1 else 0.0)]
    ring.pie(
        parts,
        colors=[each for part in colours for each in (part, GROUND)],
        startangle=90,
        counterclock=False,
        normalize=True,
        wedgeprops={"width": 0.36, "linewidth": 0},
    )
    ring.text(0, 0.06, short_number(total), ha="center", va="center", size=15, weight="bold", color=INK)
    ring.text(0, -0.2, wrap_label(plot.y_label, 18), ha="center", va="center", size=9, color=INK)
    table.set_axis_off()
    table.set(xlim=(0, 1), ylim=(0, 1))
    step = min(0.105, 0.92 / len(values))
    top = 0.5 + step * (len(values) - 1) / 2
    for number, (name, value) in enumerate(zip(plot.x, values, strict=True)):
        y = top - number * step
        table.plot([0.03], [y], marker="s", markersize=9, color=colours[number], clip_on=False)
        table.text(0.08, y, wrap_label(str(name), 26, lines=1), va="center_baseline", size=10.5, color=INK)
        table.text(0.80, y, short_number(value), va="center_baseline", ha="right", size=10.5, color=INK)
        share = f"{value / total:.1%}" if value >= 0.001 * total else "< 0.1%"
        table.text(0.98, y, share, va="center_baseline", ha="right", size=10.5, color=INK)
