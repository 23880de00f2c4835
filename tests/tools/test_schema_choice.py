"""Which tables of a large schema a question gets, in small: words, joins, budgets, the tool for more."""

import re
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.tools.sql.schema import Column, Schema, Table
from aiostream_server.tools.sql.schema_choice.asked_so_far import AskedSoFar
from aiostream_server.tools.sql.schema_choice.chooser import SchemaChooser
from aiostream_server.tools.sql.schema_choice.tokens import estimated_tokens
from aiostream_server.tools.sql.schema_choice.words import folded, question_words, split_name

BUDGET = 900


def table(name: str, *columns: str | Column, comment: str = "") -> Table:
    made = [Column("id", "INTEGER"), *(each if isinstance(each, Column) else Column(each, "TEXT") for each in columns)]
    made += [Column(f"detail_{number}", "TEXT") for number in range(12)]
    return Table(name, tuple(made), ("id",), comment=comment)


def key(name: str, there: str) -> Column:
    return Column(name, "INTEGER", references=(there, "id"))


NAMED = (
    table("customers", "name", "city", key("country_id", "countries")),
    table("countries", "name"),
    table(
        "sales_orders", "placed_on", key("customer_id", "customers"), Column("state", "TEXT", values=("open", "void"))
    ),
    table("order_lines", key("order_id", "sales_orders"), key("article_id", "articles"), "qty"),
    table("articles", "title"),
    table("vbrk", "fkdat", comment="Billing document: header data"),
    table("employeeAbsences", "reason", key("employee_id", "staff")),
    table("staff", "last_name"),
    table("Lieferscheine", "Empfaenger"),
    table("warehouse_stock", "qty_on_hand"),
    table("x17", Column("c4", "TEXT", comment="How satisfied a visitor was with the exhibition")),
    table("x18", Column("kind", "TEXT", samples=("bicycle", "tram"))),
)
FILLERS = tuple(table(f"unrelated_{number:03}", "payload") for number in range(200))


def chooser(
    budget: int = BUDGET, tables: tuple[Table, ...] = NAMED + FILLERS, notes: Mapping[str, str] | None = None
) -> SchemaChooser:
    made = sorted(tables, key=lambda each: each.name)
    return SchemaChooser(Schema("postgres", tuple(made), notes=notes or {}), budget)


def shown(text: str) -> list[str]:
    return re.findall(r'^CREATE (?:TABLE|VIEW) "?(\w+)"?', text, re.MULTILINE)


@pytest.fixture(scope="module")
def large() -> SchemaChooser:
    return chooser()


@pytest.mark.parametrize(
    ("question", "needed"),
    [
        ("How many customers are there?", {"customers"}),
        ("CUSTOMERS!", {"customers"}),
        ("list each customer", {"customers"}),
        ("Which clients placed no order?", {"customers", "sales_orders"}),
        ("orders that are void", {"sales_orders"}),
        ("articles ordered by country", {"articles", "order_lines", "sales_orders", "customers", "countries"}),
        ("invoices per day", {"vbrk"}),
        ("Why were employees absent?", {"employeeAbsences", "staff"}),
        ("Wie viele Lieferscheine gingen an jeden Empfänger?", {"Lieferscheine"}),
        ("Lieferung nach Kunden", {"Lieferscheine", "customers"}),
        ("What is in stock?", {"warehouse_stock"}),
        ("the quantity we have", {"warehouse_stock"}),
        ("satisfaction at the exhibition", {"x17"}),
        ("share of trams", {"x18"}),
    ],
)
def test_a_question_gets_its_tables(large: SchemaChooser, question: str, needed: set[str]) -> None:
    assert needed <= {*shown(large.describe(AskedSoFar([question]), "tables"))}


def test_a_note_of_the_administrator_is_searched() -> None:
    noted = chooser(notes={"unrelated_007": "Churn: contracts that were ended"})
    assert "unrelated_007" in shown(noted.describe(AskedSoFar(["churn by month"]), "tables"))
    noted = chooser(notes={"unrelated_008.payload": "Churn"})
    assert "unrelated_008" in shown(noted.describe(AskedSoFar(["churn by month"]), "tables"))


def test_a_schema_within_the_budget_is_whole() -> None:
    small = chooser(100_000)
    assert small.is_whole
    assert (
        small.describe(AskedSoFar(["customers"]), "tables")
        == Schema("postgres", tuple(sorted(NAMED + FILLERS, key=lambda each: each.name))).describe()
    )


def test_a_follow_up_keeps_the_tables(large: SchemaChooser) -> None:
    before = AskedSoFar(["Why were employees absent?", "and by month?"])
    assert {"employeeAbsences", "staff"} <= {*shown(large.describe(before, "tables"))}
    queried = AskedSoFar(["and by month?"], ["SELECT count(*) FROM unrelated_150 AS u JOIN x18 ON true"])
    assert {"unrelated_150", "x18"} <= {*shown(large.describe(queried, "tables"))}


def test_what_is_not_shown_is_listed_or_counted(large: SchemaChooser) -> None:
    text = large.describe(AskedSoFar(["customers"]), "more")
    listed = re.findall(r"unrelated_\d+", text)
    counted = re.search(r"^-- and (\d+) more: unrelated_\* \d+$", text, re.MULTILINE)
    assert counted is not None
    assert len({*listed, *shown(text)} & {each.name for each in FILLERS}) > 5
    assert f"-- Above: {len(shown(text))} of 212 tables, chosen for the question. Call more to read" in text


def test_the_tool_finds_names_patterns_and_words(large: SchemaChooser) -> None:
    assert shown(large.find(["UNRELATED_003"], "tables")) == ["unrelated_003"]
    assert shown(large.find(["unrelated_00[12]"], "tables")) == ["unrelated_001", "unrelated_002"]
    assert shown(large.find(["trams"], "tables"))[0] == "x18"
    several = large.find(["x17", "nowhere", "*_stock"], "tables")
    assert shown(several) == ["x17", "warehouse_stock"]
    assert "-- no table is called or matches 'nowhere'" in several
    assert large.find(["nowhere"], "tables") == "-- no table is called or matches 'nowhere'"
    many = large.find(["unrelated_*"], "more")
    assert 3 < len(shown(many)) < 30
    assert "-- Not shown, call more for fewer at once: unrelated_" in many
    assert estimated_tokens(many) <= BUDGET * 1.2


def test_a_table_that_is_wider_than_the_budget_is_cut_to_what_matters() -> None:
    wide = Table("wide", (*(Column(f"col_{number}", "TEXT") for number in range(900)), Column("price", "TEXT")))
    only = chooser(tables=(wide,))
    for text in (only.describe(AskedSoFar(["price"]), "tables"), only.find(["wide"], "tables")):
        assert shown(text) == ["wide"]
        assert estimated_tokens(text) <= BUDGET
        assert re.search(r"and \d+ more$", text, re.MULTILINE)
    assert "  price TEXT" in only.describe(AskedSoFar(["price"]), "tables")


WHOLE_TOKENS = 64  # of the lines in the last test together
ANYTHING = st.text(max_size=200)


@settings(max_examples=40, deadline=None)
@given(ANYTHING, ANYTHING)
def test_any_text_gets_an_answer_within_the_budget(one: str, other: str) -> None:
    text = _LARGE.describe(AskedSoFar([one, other], [other]), "tables")
    assert estimated_tokens(text) <= BUDGET
    assert shown(text)
    _LARGE.find([one, f"{other}*"], "tables")


_LARGE = chooser()


@settings(max_examples=100, deadline=None)
@given(ANYTHING)
def test_words_of_any_text_are_found_in_themselves(text: str) -> None:
    assert all(word and word == word.lower() for word in split_name(text))
    for word in question_words(text):
        assert folded(word)


def test_words_compare_in_all_ways_to_write_them() -> None:
    assert [*split_name("salesOrderLine")][:3] == [*split_name("SALES_ORDER_LINE")] == ["sales", "order", "line"]
    assert folded("Verkäufe") == ("verkaeufe", "verkaufe")
    assert folded("Straße") == ("strasse",)
    assert folded("Élève") == ("eleve",)
    assert question_words("How many of the Orders in 2024, by month?") == ["orders", "month"]


def test_tokens_are_estimated_near_the_truth() -> None:
    """The counts are those of GPT-4's vocabulary (cl100k)."""
    counted = {
        "CREATE TABLE sale_order_line (": 6,
        "  partner_id INTEGER NOT NULL REFERENCES res_partner (id),": 12,
        "  vbeln VARCHAR(10), -- Sales document number": 12,
        "  KUNNR VARCHAR(10)": 8,
        "  billing_country_code TEXT, -- e.g. 'DE', 'FR'": 16,
        "artist_credit_name, recording_alias, release_group": 9,
    }
    for text, tokens in counted.items():
        assert 0.8 * tokens <= estimated_tokens(text) <= 1.5 * tokens, text
    assert WHOLE_TOKENS <= estimated_tokens("\n".join(counted)) <= 1.15 * WHOLE_TOKENS
