"""Charts of every type that PostgreSQL has: as x, as y and as the series; what has no place is told."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.tools.chart.arguments import ChartProblem, read_arguments
from aiostream_server.tools.chart.durations import read_duration
from aiostream_server.tools.chart.painting import paint
from aiostream_server.tools.chart.plot import Plot, make_plot
from aiostream_server.tools.sql.cells import show_cell
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.rows import Rows
from tests.tools.postgres_values import INTERVAL_STYLES, INTERVALS, TYPES
from tests.tools.test_values import psql, split

ZONE = "Europe/Berlin"
# expression of n (1 to 4); the axis that x gets; the y values, or a part of the refusal
CASES: Sequence[tuple[str, str, Sequence[float | None] | str]] = (
    ("n::int2", "numbers", (1, 2, 3, 4)),
    ("n * 10000000000", "numbers", (1e10, 2e10, 3e10, 4e10)),
    ("(n / 4.0)::numeric(10,2)", "numbers", (0.25, 0.5, 0.75, 1)),
    ("CASE n WHEN 2 THEN 'NaN' WHEN 3 THEN 'Infinity' ELSE n::numeric END", "numbers", (1, None, None, 4)),
    ("CASE n WHEN 2 THEN '-Infinity' ELSE n::float8 END", "numbers", (1, None, 3, 4)),
    ("(n / 4.0)::real", "numbers", (0.25, 0.5, 0.75, 1)),
    ("NULLIF(n, 2)", "numbers", (1, None, 3, 4)),
    ("(n * -1234.5)::money", "numbers", (-1234.5, -2469, -3703.5, -4938)),
    ("n > 2", "names", "'false', which is no number but a truth value"),
    ("'R' || n", "names", "'R1', which is no number"),
    ("('x' || n)::char(4)", "names", "'x1', which is no number"),
    ("('c0ffee00-0000-4000-8000-00000000000' || n)::uuid", "names", "which is no number"),
    ("(ARRAY['happy', 'happy', 'sad', '=x']::mood[])[n]", "names", "'happy', which is no number"),
    ("n::posint", "numbers", (1, 2, 3, 4)),
    ("date '2024-01-31' + n * 30", "dates", "which is no number but a date"),
    (
        "CASE n WHEN 2 THEN 'infinity' WHEN 3 THEN '0044-03-15 BC' ELSE date '2024-01-01' + n END",
        "dates",
        "which is no number",
    ),
    ("timestamptz '2024-03-31 00:00+01' + n * interval '1 hour'", "dates", "which is no number but a date"),
    ("CASE n WHEN 1 THEN '-infinity' ELSE timestamp '2024-03-01 12:00' END", "dates", "which is no number"),
    ("time '00:00' + n * interval '90 minutes'", "numbers", (1.5, 3, 4.5, 6)),
    ("n * interval '90 minutes'", "numbers", (1.5, 3, 4.5, 6)),
    ("n * interval '1 month -1 day'", "numbers", (29, 58, 87, 116)),
    ("ARRAY[n, 2]", "names", "'{1,2}', which is no number but a list"),
    ("jsonb_build_object('a', n)", "names", "which is no number but a list or an object"),
    ("to_jsonb(n)", "names", (1, 2, 3, 4)),
    ("int4range(n, 9)", "names", "which is no number but a range"),
    ("ROW(n, 'a')", "names", "which is no number but a range or a row"),
    ("('10.0.0.' || n)::inet", "names", "'10.0.0.1', which is no number"),
    ("decode('0' || n, 'hex')", "names", "which is no number"),
    ("point(n, 2)", "names", "which is no number but a range or a row"),
    ("to_tsvector('english', 'word' || n)", "names", "which is no number"),
    ("to_char(date '2024-01-01' + (n || ' months')::interval, 'YYYY-MM')", "dates", "which is no number but a date"),
    ("NULL::int", "empty", "every value is NULL"),
)


@pytest.fixture(scope="module")
def typed_url(postgres_url: str) -> str:
    psql(postgres_url, "CREATE DATABASE charted")
    url = f"{postgres_url.rpartition('/')[0]}/charted"
    psql(url, TYPES)
    return url


def plot_of(rows: Rows, **asked: Any) -> Plot:
    return make_plot(rows.columns, rows.rows, read_arguments({"kind": "bar", "x": "n", "y": ["v"]} | asked))


async def test_every_type_is_drawn_or_refused_in_plain_words(typed_url: str) -> None:
    columns = ", ".join(f"{expression} AS c{number}" for number, (expression, *_) in enumerate(CASES))
    config = DatabaseConfig.model_validate({"url": typed_url, "timezone": ZONE})
    database = await Database.open("it", config)
    try:
        found = await database._run(f"SELECT n, {columns} FROM generate_series(1, 4) AS n ORDER BY n")  # noqa: S608
    finally:
        await database.close()
    for number, (expression, axis, y) in enumerate(CASES):
        rows = Rows(("n", "v"), tuple((row[0], row[number + 1]) for row in found.rows))
        if isinstance(y, str):
            with pytest.raises(ChartProblem, match=re.escape(y)) as told:
                plot_of(rows)
            assert "\n" not in str(told.value), expression
        else:
            plot = plot_of(rows)
            assert plot.series[0].values == pytest.approx(y), expression
            assert len(plot.notes) == (None in y and "NULLIF" not in expression), expression
        if axis == "empty":
            continue
        line = plot_of(rows, kind="line", x="v", y=["n"])
        assert line.axis == axis, expression
        left_out = len(rows.rows) - len(line.x)
        assert (left_out > 0) == bool(line.notes), (expression, line.notes)
        bars = plot_of(rows, x="v", y=["n"])
        assert len(bars.x) == 4
        assert all(str(name) and len(str(name)) <= 40 for name in bars.x), expression
        parts = plot_of(rows, split_by="v", y=["n"], x="n")
        assert {each.name for each in parts.series} == {str(name) for name in bars.x} or "timestamp" in expression
    assert paint(plot_of(found, x="n", y=["c19", "c18"])).content.startswith(b"\x89PNG")


async def test_durations_are_drawn_in_the_unit_that_suits_the_longest(typed_url: str) -> None:
    rows = Rows(("n", "v", "w"), ((1, "00:01:30", "1 day"), (2, "00:03:00", None), (3, "-00:00:30", "2 days 12:00:00")))
    plot = plot_of(rows)
    assert (plot.y_label, plot.series[0].values) == ("V (minutes)", (1.5, 3.0, -0.5))
    both = plot_of(rows, y=["v", "w"])
    assert (both.y_label, both.series[1].values) == ("Days", (1.0, None, 2.5))
    line = plot_of(rows, kind="line", x="w", y=["n"])
    assert (line.axis, line.x, line.x_label, line.notes) == (
        "numbers",
        (1.0, 2.5),
        "W (days)",
        ("1 point without w left out",),
    )
    with pytest.raises(ChartProblem, match="draw them in two charts"):
        plot_of(rows, y=["v", "n"])
    with pytest.raises(ChartProblem, match="holds durations and numbers"):
        plot_of(Rows(("n", "v"), ((1, "00:01:30"), (2, 5))))


@pytest.mark.parametrize("style", INTERVAL_STYLES)
async def test_a_duration_is_read_in_every_style_of_postgresql(postgres_url: str, style: str) -> None:
    """As its own `extract(epoch from ...)` has it."""
    more = (
        "interval '-3 days -04:05:06'",
        "interval '1 year -3 days'",
        "interval '5 secs'",
        "interval '1 day -00:00:01'",
    )
    values = [value for value in (*split(INTERVALS), *more) if not value.startswith("NULL")]
    texts = ", ".join(values)
    epochs = ", ".join(f"extract(epoch from ({value}))" for value in values)
    shown = psql(postgres_url, f"SET intervalstyle = '{style}'", f"SELECT {texts}", f"SELECT {epochs}").split("\n")
    for text, epoch in zip(shown[0].split("\x1f"), shown[1].split("\x1f"), strict=True):
        if style == "sql_standard" and re.fullmatch(r"[+-]?\d+(-\d+)?", text):
            continue  # years and months alone look like a score or a size
        assert read_duration(text) == pytest.approx(float(epoch)), text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("$1,234.50", 1234.5),
        ("-$5.00", -5),
        ("1.234,50 €", 1234.5),
        ("-1 234,50 €", -1234.5),
        ("£12", 12),
        ("￥1,234", 1234),
        ("R$ 1.234.567,89", 1234567.89),
        ("CHF 1'234.50", 1234.5),
        ("kr -5,00", -5),
        ("Q1", None),
        ("5 kg", None),
        ("A-1", None),
        ("1,234", None),
        ("$", None),
    ],
)
def test_money_is_a_number_in_any_countrys_style(text: str, number: float | None) -> None:
    rows = Rows(("n", "v"), ((1, text),))
    if number is None:
        with pytest.raises(ChartProblem, match="is no number"):
            plot_of(rows)
    else:
        assert plot_of(rows).series[0].values == (number,)


@pytest.mark.parametrize(
    "text", ["", "1-2", "2:1", "5 years old", "P", "PT", "@", "12:30:99999", "1 dayz", "-", "٣ days"]
)
def test_other_text_is_no_duration(text: str) -> None:
    assert read_duration(text) is None


def test_midnights_are_named_by_their_day_or_month() -> None:
    def names(*cells: str) -> Sequence[object]:
        return plot_of(Rows(("n", "v"), tuple((cell, 1) for cell in cells))).x

    assert names("2024-03-01 00:00:00+01", "2024-04-01 00:00:00+02") == ("2024-03", "2024-04")
    assert names("2024-03-01 00:00:00", "2024-03-02 00:00:00") == ("2024-03-01", "2024-03-02")
    assert names("2024-03-01 00:00:00", "2024-03-02 00:30:00") == ("2024-03-01 00:00:00", "2024-03-02 00:30:00")
    assert show_cell("x") == "x"
