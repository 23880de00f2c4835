"""Pictures have the right size, show the numbers, and contain no script, link or formula."""

import io
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import Any

import PIL.Image
import pytest

from aiostream_server.tools.chart.arguments import Format, read_arguments
from aiostream_server.tools.chart.painting import paint
from aiostream_server.tools.chart.plot import Plot, make_plot
from aiostream_server.tools.chart.style import COLOURS, INK
from aiostream_server.tools.chart.worker import DrawRequest, serve

WHITE = "#ffffff"
MONTHS = [f"2024-{month:02d}" for month in range(1, 13)]
HOSTILE = "<script>alert(1)</script>--><!-- & \"' $\\frac{1}{0}$ ]]> \\LaTeX javascript:"


def plot_of(rows: Sequence[Sequence[Any]], columns: Sequence[str] = ("x", "y", "z"), **asked: Any) -> Plot:
    return make_plot(columns, rows, read_arguments({"kind": "bar", "x": "x", "y": ["y"], **asked}))


def pixels(plot: Plot) -> tuple[tuple[int, int], dict[str, int]]:
    """Width and height; and how many pixels have which colour."""
    picture = paint(plot, "png")
    assert picture.form == "png"
    with PIL.Image.open(io.BytesIO(picture.content)) as image:
        assert image.format == "PNG"
        assert image.mode == "RGBA"
        assert image.getpixel((1, 1)) == (255, 255, 255, 0), "the page shows through"
        page = PIL.Image.new("RGBA", image.size, WHITE)
        page.alpha_composite(image)
        counted = page.convert("RGB").getcolors(maxcolors=2**20)
    assert counted is not None
    return image.size, {f"#{colour[0]:02x}{colour[1]:02x}{colour[2]:02x}": count for count, colour in counted}  # type: ignore[index] # RGB


def is_colourful(colour: str) -> bool:
    parts = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    return max(parts) - min(parts) > 60


@pytest.mark.parametrize(
    ("plot", "size", "drawn"),
    [
        (plot_of([("North", 3, 0), ("South", 5, 0)]), (1280, 720), 150_000),
        (plot_of([(f"a long name of a thing {n}", n - 4, 0) for n in range(20)]), (1280, 1200), 100_000),
        (plot_of([(month, n * 10, 0) for n, month in enumerate(MONTHS)], kind="line"), (1280, 720), 3_000),
        (plot_of([(n, n * n, 0) for n in range(30)], kind="scatter"), (1280, 720), 2_500),
        (plot_of([("A", 60, 0), ("B", 40, 0)], kind="pie"), (1280, 720), 30_000),
    ],
    ids=["standing bars", "lying bars", "line", "scatter", "pie"],
)
def test_a_picture_has_its_size_and_shows_its_numbers(plot: Plot, size: tuple[int, int], drawn: int) -> None:
    """More than `drawn` pixels are colourful; the rest is grey."""
    actual, colours = pixels(plot)
    assert actual == size
    assert sum(count for colour, count in colours.items() if is_colourful(colour)) > drawn
    assert max(colours, key=colours.__getitem__) == WHITE


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("page", [WHITE, "#171717"], ids=["light", "dark"])
def test_ink_and_colours_are_legible_on_a_light_and_on_a_dark_page(page: str) -> None:
    """WCAG 2.1 asks for 3 to 1 of graphics and large text."""
    for colour in (INK, *COLOURS):
        dark, light = sorted((_luminance(colour), _luminance(page)))
        assert (light + 0.05) / (dark + 0.05) >= 3, colour


def test_bars_are_as_long_as_their_numbers() -> None:
    _, colours = pixels(plot_of([("A", 10, 5)], y=["y", "z"]))
    assert 0.45 < colours[COLOURS[1]] / colours[COLOURS[0]] < 0.58  # the marks of the legend count too, and are equal


@pytest.mark.parametrize("kind", ["bar", "line", "pie", "scatter"])
def test_text_stays_text(kind: str) -> None:
    """For any cell, an SVG contains no script, no link and no event handler, and no formula is typeset."""
    rows: list[tuple[str | int, int, str]] = [(HOSTILE, 3, HOSTILE), ("b" * 500, 5, "_hidden")]
    if kind == "scatter":
        rows = [(1, 3, HOSTILE), (2, 5, "_hidden")]
    split = {"split_by": "z"} if kind in ("line", "bar", "scatter") else {}
    picture = paint(plot_of(rows, kind=kind, title=HOSTILE, **split), "svg")
    assert picture.form == "svg"
    check_harmless(picture.content)


def check_harmless(content: bytes) -> None:
    root = ET.fromstring(content)  # noqa: S314 - trusted, and parsing it is the test
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    for element in root.iter():
        name = element.tag.rpartition("}")[2].lower()
        assert name not in ("script", "foreignobject", "a", "image", "iframe")
        for attribute, value in element.attrib.items():
            assert not attribute.rpartition("}")[2].lower().startswith("on")
            assert "javascript:" not in value.lower()
            assert not attribute.endswith("href") or value.startswith("#")
    assert not re.search(rb"<script|<!ENTITY", content, re.IGNORECASE)


def test_letters_that_no_font_has_are_left_to_the_browser() -> None:
    """Hieroglyphs: no usual font has them."""
    letters = "".join(map(chr, range(0x13000, 0x13006)))
    picture = paint(plot_of([(letters, 3, 0), (HOSTILE, 4, 0)], title=letters), "png")
    assert picture.form == "svg"
    assert letters in picture.content.decode()
    check_harmless(picture.content)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("rows", "asked"),
    [
        ([("A", 0, 0)], {}),
        ([("A", None, 0), ("B", -3, 0)], {}),
        ([("A", 1e100, 0), ("B", -1e100, 0)], {}),
        ([("A", 1e-100, 0)], {}),
        ([("2024-01-01", 5, 0)], {"kind": "line"}),
        ([("2024-01-01 10:00", 5, 0), ("2024-01-01 10:05", 5, 0)], {"kind": "line"}),
        ([("0001-01-01", 5, 0), ("9999-12-31", 6, 0)], {"kind": "line"}),
        ([(5, 5, 0)], {"kind": "scatter"}),
        ([(1e100, 5, 0), (-1e100, 1e-9, 0)], {"kind": "scatter"}),
        ([(n, None if n % 2 else n, 0) for n in range(60)], {"kind": "line"}),
        ([(f"name {n}", n, 0) for n in range(60)], {"kind": "line"}),
        ([("A", 1e100, 0), ("B", 1e-100, 0)], {"kind": "pie"}),
        ([("", 1, 0), (None, 2, 0), ("\n\t", 3, 0)], {"kind": "pie", "title": "x" * 900}),
        ([(f"r{n}", n, n + 0.5) for n in range(30)], {"y": ["y", "z"]}),
        ([(month, n, f"series {n} " * 9) for n, month in enumerate(MONTHS[:8])], {"kind": "bar", "split_by": "z"}),
    ],
)
def test_unusual_rows_are_drawn(rows: list[tuple[Any, ...]], asked: dict[str, Any]) -> None:
    picture = paint(plot_of(rows, **asked))
    with PIL.Image.open(io.BytesIO(picture.content)) as image:
        image.verify()


@pytest.mark.parametrize("asked", [{}, {"kind": "line", "split_by": "z"}, {"kind": "pie"}, {"title": "$\\nosuch$"}])
def test_text_is_never_parsed_as_a_formula(asked: dict[str, Any]) -> None:
    """If one were parsed, it would raise an error: in a tick, a legend or a title."""
    paint(plot_of([("$\\nosuch$", 1, "$\\nosuch{$"), ("B", 2, "C")], **asked))


@pytest.mark.parametrize("form", ["png", "svg"])
def test_the_same_plot_is_the_same_picture(form: Format) -> None:
    plot = plot_of([("A", 1, 0), ("B", 2, 0)])
    assert paint(plot, form) == paint(plot, form)


def test_the_worker_answers_each_request_and_survives_an_invalid_one(tmp_path: Any) -> None:
    plot = plot_of([("A", 1, 0), ("B", 2, 0)])
    asked = tmp_path / "asked"
    asked.write_bytes(b'{"form": "png", "plot": {}}\n' + DrawRequest("png", plot).to_line())
    answers = io.BytesIO()
    with asked.open("rb", buffering=0) as file:
        serve(file, answers, idle_s=1.0)
    first, second, content = answers.getvalue().split(b"\n", 2)
    assert json.loads(first)["error"].startswith("ValidationError")
    assert json.loads(second) == {"form": "png", "size": len(content)}
    assert content == paint(plot).content
