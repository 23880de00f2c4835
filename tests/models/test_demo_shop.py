"""The demo model's answers about its shop are right; a question with a word that no rule consumes gets no figure."""

import json
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.models.demo.shop_query import plan_query
from aiostream_server.models.demo.shop_question import ShopQuestion, Unclear, read_question
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.guard import Approved
from aiostream_server.tools.sql.shop import build_shop, shop_tables
from tests.models.demo import DATABASE, answer, called, returned, told, user

REGIONS: Final = "What were the total sales by region?"
BEST: Final = "Which region had the highest total sales?"

# The right answers, from the shop's rows and not from SQL.
SHOP: Final[Mapping[str, Any]] = shop_tables()
NAMES: Final = {
    name: {row[0]: row[1] for row in SHOP[name]} for name in ("regions", "customers", "categories", "products")
}
REGION_OF: Final = {row[0]: NAMES["regions"][row[3]] for row in SHOP["customers"]}
CATEGORY_OF: Final = {row[0]: NAMES["categories"][row[2]] for row in SHOP["products"]}
ORDERS: Final = {row[0]: row for row in SHOP["orders"]}


def ranked(pairs: Iterable[tuple[Any, Any]], *, lowest: bool = False) -> list[tuple[Any, Any]]:
    sums: dict[Any, float] = defaultdict(float)
    for key, value in pairs:
        sums[key] += value
    return sorted(sums.items(), key=lambda item: item[1], reverse=not lowest)


def sales(key: Callable[[Any], Any], *, where: Callable[[Any], bool] = lambda order: True) -> list[tuple[Any, Any]]:
    return ranked((key(order), order[4]) for order in SHOP["orders"] if where(order))


def total(where: Callable[[Any], bool]) -> float:
    return float(sum(order[4] for order in SHOP["orders"] if where(order)))


def region(order: Any) -> Any:
    return REGION_OF[order[1]]


def month(order: Any) -> Any:
    return order[2][:7]


RANKINGS: Final = {
    BEST: sales(region),
    "Which region had the lowest total sales?": sales(region)[::-1],
    "Total revenue by region in 2024": sales(region, where=lambda order: order[2] < "2025"),
    "Total amount by month in 2025": sorted(sales(month, where=lambda order: order[2] >= "2025")),
    "How did revenue develop month by month?": sorted(sales(month)),
    "Plot revenue by month as a line chart": sorted(sales(month)),
    "monthly revenue in 2024": sorted(sales(month, where=lambda order: order[2] < "2025")),
    "sales in January and February 2025": sorted(sales(month, where=lambda o: month(o) in ("2025-01", "2025-02"))),
    "Which month had the highest sales?": sales(month),
    "Show a pie chart of sales by category": ranked((CATEGORY_OF[item[2]], item[5]) for item in SHOP["order_items"]),
    "top 5 products by revenue": ranked((NAMES["products"][item[2]], item[5]) for item in SHOP["order_items"])[:5],
    "What are our best-selling products?": ranked((NAMES["products"][i[2]], i[3]) for i in SHOP["order_items"]),
    "How many units were sold per category?": ranked((CATEGORY_OF[i[2]], i[3]) for i in SHOP["order_items"]),
    "Which customer spent the most?": sales(lambda order: NAMES["customers"][order[1]]),
    "Who placed the most orders?": ranked((NAMES["customers"][order[1]], 1) for order in SHOP["orders"]),
    "Sales by channel": sales(lambda order: order[3]),
    "Orders by channel": Counter(order[3] for order in SHOP["orders"]).most_common(),
    "compare sales of East and West": [pair for pair in sales(region) if pair[0] in ("East", "West")],
    "the 3 largest regions": sales(region)[:3],
    "Number of customers in each region": ranked((REGION_OF[customer[0]], 1) for customer in SHOP["customers"]),
    "which region has the most customers": ranked((REGION_OF[customer[0]], 1) for customer in SHOP["customers"]),
}
NUMBERS: Final = {
    "How many customers are there?": len(SHOP["customers"]),
    "How many customers are there in the East?": sum(name == "East" for name in REGION_OF.values()),
    "What is our total revenue?": total(lambda order: True),
    "How many orders were placed in March 2024?": sum(month(order) == "2024-03" for order in SHOP["orders"]),
    "sales in 2024-03": total(lambda order: month(order) == "2024-03"),
    "What was the total revenue in the West region?": total(lambda order: region(order) == "West"),
    "What is the average order value?": round(total(lambda order: True) / len(SHOP["orders"]), 2),
    "sales of tea products in the West": sum(
        item[5] for item in SHOP["order_items"] if CATEGORY_OF[item[2]] == "Tea" and region(ORDERS[item[1]]) == "West"
    ),
    "How many web orders were there in 2025?": sum(o[3] == "Web" and o[2] >= "2025" for o in SHOP["orders"]),
    "How many customers ordered in 2024?": len({order[1] for order in SHOP["orders"] if order[2] < "2025"}),
}
UNCLEAR: Final = {
    "How many orders over 500?": ("over", "500"),
    "sales by region excluding West": ("excluding",),
    "sales before 2024": ("before",),
    "sales last year": ("last", "year"),
    "What is the total of all web orders in 2025?": ("total",),
    "average sales by region": ("average",),
    "profit by region": ("profit",),
    "How is our business doing?": ("business", "doing"),
    "sales in Berlin by region": ("Berlin",),
    "Did the West sell more than the East?": ("more", "than"),
    "How many orders did Ada Adler place?": ("Ada", "Adler"),
    "average order value by category": (),
    "sales in March 2024 and 2025": (),
    "How many products were sold?": ("many",),
    "top 5 products by category": (),
    "largest region by customers": (),
    "list customers by region": ("list", "customers"),
    "Which regions are there?": ("Which", "regions", "there"),
    "sales by quarter": ("by", "quarter"),
    "sales as of 2024": ("as",),
    "sales from 2024 on": ("2024", "on"),
    "How many customers does the shop have?": ("shop",),
    "top 0 customers": ("0",),
}


@pytest.fixture(scope="module")
def rows_of(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[ShopQuestion | Unclear], list[Any]]]:
    path = tmp_path_factory.mktemp("shop") / "shop.sqlite3"
    build_shop(path)
    connection = sqlite3.connect(path)

    def rows(read: ShopQuestion | Unclear) -> list[Any]:
        assert isinstance(read, ShopQuestion), read
        return connection.execute(plan_query(read).sql).fetchall()

    yield rows
    connection.close()


RowsOf = Callable[[ShopQuestion | Unclear], list[Any]]


@pytest.mark.parametrize("question", RANKINGS)
def test_rankings_are_right(question: str, rows_of: RowsOf) -> None:
    rows = rows_of(read_question(question))
    assert [row[-1] for row in rows] == [value for _, value in RANKINGS[question]]
    assert {row[0] for row in rows} == {name for name, _ in RANKINGS[question]} or len(rows) == 5


@pytest.mark.parametrize("question", NUMBERS)
def test_numbers_are_right(question: str, rows_of: RowsOf) -> None:
    assert rows_of(read_question(question)) == [(NUMBERS[question],)]


@pytest.mark.parametrize("question", UNCLEAR)
def test_unclear_questions_name_the_words_that_no_rule_consumes(question: str) -> None:
    assert read_question(question) == Unclear(UNCLEAR[question])


@given(
    question=st.sampled_from([*RANKINGS, *NUMBERS]),
    word=st.text(st.characters(categories=["L", "N"]), max_size=12).map("zq".__add__),
    at=st.integers(0, 12),
)
def test_an_unknown_word_anywhere_gets_the_honest_answer(question: str, word: str, at: int) -> None:
    words = question.split()
    read = read_question(" ".join([*words[:at], word, *words[at:]]))
    assert isinstance(read, Unclear)
    assert word in read.words


@pytest.mark.parametrize("question", ["not", "without", "except", "minus", ">", "<", "%", "5000", "other", "double"])
def test_words_that_change_a_figure_are_no_fillers(question: str) -> None:
    assert isinstance(read_question(f"Total sales by region {question} 2024"), Unclear)


@pytest.mark.parametrize(
    ("earlier", "question", "same_as"),
    [
        ([REGIONS], "And by month?", "total sales by month"),
        ([REGIONS], "Plot it", REGIONS),
        ([REGIONS], "Draw that as a pie chart", REGIONS),
        ([REGIONS], "What about customers?", "total sales by customer"),
        ([REGIONS], "Break it down by month and region", "total sales by month and region"),
        ([REGIONS], "as a pie chart", "total sales by region"),
        ([REGIONS, "And by month?"], "Only 2024", "total sales by month in 2024"),
        ([REGIONS, "Only 2024"], "And 2025?", "total sales by region in 2025"),
        ([REGIONS, "Only 2024"], "And how many orders?", "how many orders by region in 2024"),
        ([REGIONS, "Only 2024"], "And how many customers are there?", "how many customers are there"),
        ([REGIONS, "thanks", "yes"], "and by month?", "total sales by month"),
        ([BEST], "And the lowest?", "which region had the lowest total sales"),
        ([BEST], "And by month?", "total sales by month"),
        ([BEST], "What about products?", "Which product had the highest total sales"),
        (["Total revenue in the West region"], "And in East?", "total revenue in the East region"),
        (["How many customers are there in the East?"], "And in the West?", "how many customers in the West"),
        (["top 5 products by revenue"], "top 3", "top 3 products by revenue"),
        (["top 5 products by revenue"], "and customers?", "top 5 customers by revenue"),
        ([REGIONS], "How many customers are there?", "How many customers are there?"),
    ],
)
def test_a_fragment_continues_the_question_before_it(earlier: Sequence[str], question: str, same_as: str) -> None:
    assert read_question(question, earlier) == read_question(same_as)


@pytest.mark.parametrize(
    ("earlier", "question"),
    [([], "And by month?"), ([REGIONS, "And the profit by region?"], "Only 2024"), ([REGIONS], "hi")],
)
def test_a_fragment_without_a_question_before_it_is_unclear(earlier: Sequence[str], question: str) -> None:
    assert isinstance(read_question(question, earlier), Unclear)


@given(st.lists(st.text(max_size=40), max_size=4), st.text(alphabet=" andby2024monthregeoßİ?,'’|", max_size=60))
def test_no_text_breaks_the_grammar(earlier: list[str], question: str) -> None:
    read_question(question, [REGIONS, *earlier, question])


def test_a_long_question_is_not_read() -> None:
    """The rules run in the event loop: on 2,000 characters they would block it."""
    read = read_question("Total sales by region and 2024 " * 60, [REGIONS])
    assert isinstance(read, Unclear)
    assert read.words[0].endswith(" …")


async def test_every_query_passes_the_guard_and_the_agent_says_the_right_sentence(tmp_path: Path) -> None:
    """The whole way of the README's first question: schema, query, verdict, rows, words."""
    build_shop(tmp_path / "shop.sqlite3")
    database = await Database.open("shop", DatabaseConfig(url=f"sqlite:///{tmp_path / 'shop.sqlite3'}"))
    schema = returned("schema", (await database.schema()).describe())
    for question in (*RANKINGS, *NUMBERS):
        drafted = await answer(user(question), called("schema"), schema, tools=DATABASE)
        assert isinstance(await database.check(json.loads(drafted.arguments)["sql"]), Approved), question
    rows = await database.ask(json.loads((await answer(user(BEST), schema, tools=DATABASE)).arguments)["sql"])
    await database.close()
    said = await answer(user(BEST), told(f"Result of the query ({rows.summary}):\n\n{rows.to_markdown()}"))
    name, amount = RANKINGS[BEST][0]
    assert said.text.startswith(f"The **{name}** region had the highest total sales: {amount:,.2f}.")
