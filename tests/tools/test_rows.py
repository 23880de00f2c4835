"""Results of queries: cells keep their digits, and no cell becomes markup in a table."""

import re
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.tools.sql.cells import MAX_CELL_CHARS, Binary, Cell, Clipped, rounded, show_cell, to_cell
from aiostream_server.tools.sql.figures import figures
from aiostream_server.tools.sql.rows import Rows


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, None),
        (True, True),
        (5, 5),
        (2.5, 2.5),
        (float("nan"), "NaN"),
        (float("inf"), "Infinity"),
        (float("-inf"), "-Infinity"),
        ("text", "text"),
        (Decimal("127.50"), Decimal("127.50")),
        (Decimal("1E+5000"), "1E+5000"),
        (Decimal("NaN"), "NaN"),
        (Binary("0001", 2), "\\x0001"),
        (Binary("00" * 33, 33), "(33 bytes)"),
        (Binary("00" * 32, 99), "(99 bytes)"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_every_value_becomes_a_cell_without_losing_digits(value: object, cell: Cell) -> None:
    found, was_cut = to_cell(value)
    assert (found, was_cut) == (cell, False)
    assert type(found) is type(cell)


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        (Decimal("127.5000000000000000"), "127.5"),
        (Decimal("33.3333333333333333"), "33.333333"),
        (Decimal("12.50"), "12.50"),
        (Decimal("0.00000123456789012345"), "0.00000123457"),
        (Decimal("9" * 300 + ".12345678"), "9" * 300 + ".123457"),
        (Decimal("9" * 40 + ".99999999"), "1" + "0" * 40),
        (33.333333333333336, "33.333333"),
        (1e-9, "1e-09"),
        (-2.0000000000000004, "-2"),
        (7, "7"),
        (True, "true"),
        ("1.23456789", "1.23456789"),
    ],
)
def test_quotients_are_rounded_and_small_ones_keep_six_digits(cell: Cell, shown: str) -> None:
    assert show_cell(rounded(cell, 6)) == shown
    assert rounded(cell, None) is cell


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "NULL"),
        (True, "true"),
        (False, "false"),
        (12, "12"),
        (127.0, "127"),
        (0.1 + 0.2, "0.30000000000000004"),
        (Decimal("12.50"), "12.50"),
        (Decimal("1E+3"), "1000"),
        (1234567.5, "1234567.5"),
        (1e20, "100000000000000000000"),
        (0.0, "0"),
        (-0.0, "-0"),
        (1e300, "1e+300"),
        (1e-9, "1e-09"),
        ("a", "a"),
    ],
)
def test_numbers_are_shown_plainly(cell: Cell, text: str) -> None:
    assert show_cell(cell) == text


def test_the_table_is_githubs_with_numbers_to_the_right() -> None:
    rows = Rows(("region", "total", "note"), (("East", 169168.25, None), ("West", None, None)))
    assert rows.to_markdown() == (
        "| region | total | note |\n| --- | ---: | --- |\n| East | 169168.25 | NULL |\n| West | NULL | NULL |"
    )


def test_a_table_without_rows_still_has_its_header() -> None:
    assert Rows(("a", ""), ()).to_markdown() == "| a |   |\n| --- | --- |"


@pytest.mark.parametrize(
    ("rows", "summary"),
    [
        (Rows(("a",), ()), "no rows"),
        (Rows(("a",), ((1,),)), "1 row"),
        (Rows(("a",), ((1,),) * 4), "4 rows"),
        (Rows(("a",), ((1,),) * 200, True, 35), "200 rows (35 more left out)"),
        (Rows(("a",), ((1,),) * 200, True, None), "200 rows (more left out)"),
        (Rows(("a",), ((1,),), True, 0), "1 row (long values shortened)"),
    ],
)
def test_the_summary_is_honest(rows: Rows, summary: str) -> None:
    assert rows.summary == summary


@pytest.mark.parametrize(
    ("cell", "shown"),
    [
        ("a|b", r"a\|b"),
        ("two\nlines\r\nand\ttabs", "two lines and tabs"),
        ("<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"),
        ("![x](http://evil/x.png)", r"!\[x\](http&#58;//evil/x.png)"),
        ("https://evil.example www.evil.example", "https&#58;//evil.example www&#46;evil.example"),
        ("*bold* _it_ snake_case `code` ~~gone~~", r"\*bold\* \_it\_ snake_case \`code\` \~\~gone\~\~"),
        ("$5 and $6", r"\$5 and \$6"),
        ("&lt; AT&T", "&amp;lt; AT&T"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_markup_in_a_cell_is_only_text(cell: str, shown: str) -> None:
    assert Rows(("x",), ((cell,),)).to_markdown().splitlines()[-1] == f"| {shown} |"


@given(st.lists(st.text(max_size=30), min_size=1, max_size=4))
def test_no_cell_breaks_out_of_its_place(cells: list[str]) -> None:
    """One line per row, and as many bare pipes as the columns need, whatever the cells hold."""
    table = Rows(tuple(cells), (tuple(cells),)).to_markdown()
    lines = re.split(r"[\r\n\v\f\x1c-\x1e\x85\u2028\u2029]", table)
    assert len(lines) == 3
    for line in lines:
        assert len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) == len(cells) + 1
        assert not re.search(r"<|>|(?<!\\)(?:\\\\)*[\[\]]|://", line)


def test_a_long_text_is_cut_and_says_so() -> None:
    cut = "x:" * (MAX_CELL_CHARS // 2) + "… (4000 characters)"
    assert to_cell("x:" * MAX_CELL_CHARS) == (cut, True)
    assert to_cell(Clipped("x:" * (MAX_CELL_CHARS // 2), 4000)) == (cut, True)
    assert to_cell("x" * MAX_CELL_CHARS) == ("x" * MAX_CELL_CHARS, False)


def test_the_first_rows_are_a_table_of_their_own_and_say_what_they_leave_out() -> None:
    rows = Rows(("n", "text"), tuple((n, "😀" * 10) for n in range(100)), truncated=True, left_out=35)
    few = rows.first(50, 10_000)
    assert (few.summary, few.truncated) == ("50 rows (85 more left out)", True)
    narrow = rows.first(50, 400)
    assert len(narrow.to_markdown().encode("utf-16-le")) // 2 <= 400
    assert narrow.left_out == 135 - len(narrow.rows)
    assert len(rows.first(50, 1).rows) == 1
    assert rows.first(100, 10**6) == rows
    assert Rows(("n",), (), left_out=None).first(5, 5).rows == ()


@pytest.mark.parametrize(
    ("name", "cells", "shown"),
    [
        ("total", [56288.5, 1000, None, -0.25], ["56,288.50", "1,000.00", "NULL", "-0.25"]),
        ("total", [Decimal("1234.5"), Decimal("1234567.50")], ["1,234.50", "1,234,567.50"]),
        ("orders", [12, 1434, 1_000_000], ["12", "1,434", "1,000,000"]),
        ("share", [0.333333, 1234.5], ["0.333333", "1,234.5"]),
        ("year", [2024, 2025], ["2024", "2025"]),
        ("order_id", [10248], ["10248"]),
        ("customerId", [10248], ["10248"]),
        ("paid", [True, 12345], ["true", "12,345"]),
        ("note", ["12345", "x"], ["12345", "x"]),
        ("huge", [10**30, 1e21], ["1" + ",000" * 10, "1e+21"]),
    ],
)
def test_people_read_numbers_as_a_text_writes_them(name: str, cells: list[Cell], shown: list[str]) -> None:
    rows = Rows((name,), tuple((cell,) for cell in cells))
    assert [line.strip("| ") for line in rows.to_markdown(for_people=True).split("\n")[2:]] == shown
    assert "," not in rows.to_markdown()


@given(
    st.lists(
        st.one_of(
            st.integers(),
            st.floats(allow_nan=False, allow_infinity=False),
            st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=3),
        ),
        min_size=1,
    )
)
def test_no_digit_is_lost_for_people(cells: list[Cell]) -> None:
    for cell, figure in zip(cells, figures("total", cells), strict=True):
        assert Decimal((figure or show_cell(cell)).replace(",", "")) == Decimal(show_cell(cell))
