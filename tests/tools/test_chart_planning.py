"""Arguments and rows of a chart: every mistake gives one line, and what is left out is counted."""

import json
import math
import tracemalloc
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.tools.chart.arguments import (
    KINDS,
    PARAMETERS,
    REQUIRED,
    ChartArguments,
    ChartProblem,
    read_arguments,
)
from aiostream_server.tools.chart.labels import (
    LABEL_CHARS,
    column_title,
    display_width,
    month_labels,
    safe_label,
    short_number,
    tick_label,
    wrap_label,
)
from aiostream_server.tools.chart.plot import MOST_BARS, MOST_PARTS, MOST_ROWS, MOST_SERIES, Plot, make_plot
from aiostream_server.tools.chart.worker import DrawRequest
from aiostream_server.tools.sql.cells import Cell

COLUMNS = ("month", "region", "total_sales", "n")
ROWS: tuple[tuple[Cell, ...], ...] = (
    ("2024-02", "West", 5.5, 2),
    ("2024-01", "East", 3, None),
    ("2024-01", "West", None, 7),
)
NUMBERS = st.none() | st.floats(-1e90, 1e90) | st.integers(-(10**9), 10**9)
CELLS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=60) | st.dates().map(str)


def plot_of(rows: Any = ROWS, columns: Any = COLUMNS, **asked: Any) -> Plot:
    wanted = {"kind": "bar", "x": "region", "y": ["total_sales"]} | asked
    return make_plot(columns, rows, read_arguments(wanted))


def test_the_json_schema_has_the_fields_of_the_arguments() -> None:
    assert tuple(PARAMETERS) == tuple(ChartArguments.__dataclass_fields__)
    assert PARAMETERS["kind"]["enum"] == list(KINDS)
    assert set(REQUIRED) < set(PARAMETERS)
    assert set(get_args(Plot.__annotations__["kind"])) == set(KINDS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"kind": "radar"}, "kind must be one of"),
        ({"kind": ["bar"]}, "kind must be one of"),
        ({"kind": None}, "kind must be one of"),
        ({"x": ""}, "x must be the name"),
        ({"x": 3}, "x must be the name"),
        ({"y": []}, "y must be a list"),
        ({"y": None}, "y must be a list"),
        ({"y": [1]}, "y must be the name"),
        ({"y": {"a": 1}}, "y must be a list"),
        ({"y": [f"c{n}" for n in range(9)]}, "8 columns at most"),
        ({"order": "up"}, "order must be one of"),
        ({"title": 5}, "title must be text"),
        ({"split_by": 5}, "split_by must be the name"),
        ({"y": ["n", "total_sales"], "split_by": "region"}, "there is one y column"),
        ({"kind": "pie", "y": ["n", "total_sales"]}, "give one y"),
        ({"kind": "pie", "split_by": "month"}, "give one y"),
        ({"code": "import os"}, "there is no argument 'code'"),
        ({"x": "regoin"}, "there is no column 'regoin'; there are month, region"),
        ({"y": ["region"]}, "'West', which is no number"),
        ({"kind": "scatter"}, "'West', which is no number"),
    ],
)
def test_a_wrong_argument_is_named(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ChartProblem, match=words) as told:
        plot_of(**wrong)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((), "no rows"),
        ((("m", "West", None, 1),), "every value is NULL"),
        ((("m", "West", True, 1),), "is no number"),
        ((("m", "West", "nan", 1),), "NaN or infinite"),
        ((("m", "West", math.inf, 1),), "NaN or infinite"),
        ((("m", "West", math.nan, 1),), "NaN or infinite"),
        ((("m", "West", 10**400, 1),), "too large"),
        ((("m", "West", "1e999", 1),), "too large"),
    ],
)
def test_rows_that_cannot_be_drawn_are_refused(rows: Any, words: str) -> None:
    with pytest.raises(ChartProblem, match=words):
        plot_of(rows)


def test_negative_numbers_make_no_pie() -> None:
    with pytest.raises(ChartProblem, match="negative numbers: draw bars"):
        plot_of((("m", "A", -1, 0), ("m", "B", 3, 0)), kind="pie")
    with pytest.raises(ChartProblem, match="more than 0"):
        plot_of((("m", "A", 0, 0), ("m", "B", None, 0)), kind="pie")


def test_columns_are_found_in_any_case_and_named_for_people() -> None:
    plot = plot_of(x=" Region", y="TOTAL_SALES")
    assert (plot.x_label, plot.y_label, plot.title) == ("Region", "Total sales", "Total sales by region")
    assert column_title("order_count") == "Order count"
    assert column_title("Ümsatz_x y") == "Ümsatz_x y"


def test_a_line_goes_by_time_and_keeps_its_gaps() -> None:
    plot = plot_of(kind="line", x="month", split_by="region")
    assert plot.axis == "dates"
    assert plot.x == (19723.0, 19754.0)
    assert {each.name: each.values for each in plot.series} == {"West": (None, 5.5), "East": (3.0, None)}


@pytest.mark.parametrize(
    ("cells", "axis"),
    [
        (("2024-01-31", "2024-02-29"), "dates"),
        (("2024-01-31 10:30:00.5+00", "2024-02-01T00:00"), "dates"),
        (("2024-02-30", "2024-02-01"), "names"),  # not a day of the calendar
        (("2024-13", "2024-01"), "names"),
        ((2023, 2024), "numbers"),
        ((2.5, None), "numbers"),
        (("2023", "2024"), "names"),
        (("Q1", "Q2"), "names"),
    ],
)
def test_the_kind_of_axis_follows_from_the_values_of_x(cells: tuple[Cell, Cell], axis: str) -> None:
    plot = plot_of([(cell, "", 1, 1) for cell in cells], kind="line", x="month")
    assert plot.axis == axis


def test_points_without_a_place_are_left_out_and_counted() -> None:
    plot = plot_of([(1, "", 2, 0), (None, "", 3, 0), (3, "", None, 0)], kind="scatter", x="month")
    assert plot.x == (1.0, 3.0)
    assert plot.notes == ("1 point without month left out", "1 point without a value left out")


def test_more_than_a_picture_can_show_is_left_out_and_counted() -> None:
    bars = plot_of([("m", f"r{n}", n, 0) for n in range(MOST_BARS + 5)], order="descending")
    assert bars.x[:2] == ("r34", "r33")
    assert (len(bars.x), bars.notes) == (MOST_BARS, ("5 more bars left out",))
    points = plot_of([(n, "", n, 0) for n in range(MOST_ROWS + 1)], kind="line", x="month")
    assert (len(points.x), points.notes) == (MOST_ROWS, ("1 more row left out",))
    split = plot_of([(1, f"r{n}", n, 0) for n in range(MOST_SERIES + 2)], kind="line", x="month", split_by="region")
    assert [each.name for each in split.series] == [f"r{n}" for n in range(2, 10)]
    assert split.notes == ("the 8 largest of 10 series are shown",)


def test_small_parts_of_a_pie_are_combined() -> None:
    plot = plot_of([("m", f"r{n}", n, 0) for n in range(12)], kind="pie")
    assert len(plot.x) == MOST_PARTS
    assert plot.x[0] == "r11"
    assert (plot.x[-1], plot.series[0].values[-1]) == ("Other (4)", 1 + 2 + 3 + 4)
    assert sum(value or 0 for value in plot.series[0].values) == sum(range(12))
    assert plot.notes == ("1 part without a value left out", "4 small parts are put together")


def test_two_rows_for_one_place_of_a_series_are_refused() -> None:
    with pytest.raises(ChartProblem, match="add them up in the query"):
        plot_of([("2024-01", "West", 1, 0)] * 2, kind="line", x="month", split_by="region")


@given(st.text(max_size=300))
def test_labels_are_one_short_line(text: str) -> None:
    label = safe_label(text)
    assert len(label) <= LABEL_CHARS
    assert label.isprintable() or label.isspace()
    assert all(len(line) <= 68 for line in wrap_label(label, 68).split("\n"))


def test_characters_that_reverse_text_are_removed() -> None:
    assert safe_label("a\u202eb\x1b[31m\nc\u2066") == "a b [31m c"
    assert safe_label("x" * 200) == "x" * 39 + "…"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1234567, "1.23M"),
        (999_999, "999,999"),
        (-12345.678, "−12,346"),
        (12.5, "12.50"),
        (0.0372, "0.037"),
        (2.5e9, "2.5B"),
        (3e20, "3e+20"),
    ],
)
def test_figures_have_few_digits(value: float, text: str) -> None:
    assert short_number(value) == text


def test_ticks_have_all_their_digits() -> None:
    assert [tick_label(value) for value in (0, 2_500, -5_000)] == ["0", "2,500", "−5,000"]
    assert [tick_label(value) for value in (0.1 * 3, 1.5e6, 1.234e6)] == ["0.3", "1.5M", "1.234M"]


def test_months_have_their_year_once() -> None:
    assert month_labels(["2023-12", "2024-01", "2024-02"]) == ["Dec\n2023", "Jan\n2024", "Feb"]
    assert month_labels(["2023-12", "2024-13"]) is None


def test_wide_characters_take_the_place_of_two() -> None:
    assert display_width("売上") == 4
    assert wrap_label("売上高の合計", 4) == "売上\n高の…"


@given(
    st.lists(st.tuples(CELLS, CELLS, NUMBERS, NUMBERS | CELLS), max_size=40),
    st.fixed_dictionaries(
        {"kind": st.sampled_from([*KINDS, "radar"]), "x": st.sampled_from([*COLUMNS, "x"])},
        optional={
            "y": st.lists(st.sampled_from(COLUMNS), max_size=4),
            "split_by": st.sampled_from([*COLUMNS, "", None]),
            "order": st.sampled_from(["as given", "ascending", "descending", None]),
            "title": st.text(max_size=200),
        },
    ),
)
def test_any_rows_make_a_plot_or_one_line(rows: list[tuple[Cell, ...]], asked: dict[str, Any]) -> None:
    """A plot survives JSON, has finite numbers, and one value for each place."""
    try:
        plot = make_plot(COLUMNS, rows, read_arguments(asked))
    except ChartProblem as exc:
        assert str(exc).isprintable()  # noqa: PT017 - a refusal is fine, too
        return
    assert msgspec.json.decode(DrawRequest("png", plot).to_line(), type=DrawRequest).plot == plot
    assert all(len(each.values) == len(plot.x) for each in plot.series)
    assert 0 < len(plot.series) <= MOST_SERIES


@settings(max_examples=50)
@given(
    st.dictionaries(
        st.text(max_size=9) | st.sampled_from(list(PARAMETERS)), st.recursive(CELLS, st.lists, max_leaves=9)
    )
)
def test_any_arguments_are_read_or_refused(given_arguments: dict[str, Any]) -> None:
    try:
        asked = read_arguments(given_arguments)
    except ChartProblem as exc:
        assert len(str(exc)) < 500  # noqa: PT017 - a refusal is fine, too
    else:
        json.dumps([asked.x, *asked.y, asked.title])


def test_only_the_shown_series_are_made() -> None:
    """5,000 series of 5,000 places each would take 200 MB."""
    rows = [(f"m{n}", f"r{n}", n, 0) for n in range(MOST_ROWS)]
    tracemalloc.start()
    try:
        plot = plot_of(rows, kind="bar", x="month", split_by="region", order="descending")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert [each.name for each in plot.series] == [f"r{n}" for n in range(MOST_ROWS - MOST_SERIES, MOST_ROWS)]
    assert plot.x[0] == f"m{MOST_ROWS - 1}"
