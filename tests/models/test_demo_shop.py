"""The demo model and the real tools together: its SQL for the demo shop passes the guard and gives the right rows."""

import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from autogen_core.models import LLMMessage

from aiostream_server.config.model import DatabaseConfig
from aiostream_server.models.demo.sql.draft import draft, draft_simpler
from aiostream_server.models.demo.sql.schema_text import parse_schema
from aiostream_server.models.demo.sql.writes import draft_write
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.rows import Rows
from aiostream_server.tools.sql.shop import build_shop, shop_tables
from aiostream_server.tools.sql.verdict import Approved
from tests.models.demo import DATABASE, answer, called, returned, told, user


@pytest.fixture(params=["sqlite", "postgres"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """The same shop in both kinds of database."""
    if request.param == "sqlite":
        build_shop(tmp_path / "shop.sqlite3")
        url = f"sqlite:///{tmp_path / 'shop.sqlite3'}"
    else:
        url = request.getfixturevalue("postgres_url")
    database = await Database.open("shop", DatabaseConfig(url=url))
    yield database
    await database.close()


async def rows_for(question: str, shop: Database) -> Rows:
    made = draft(question, parse_schema((await shop.schema()).describe()))
    assert made is not None
    verdict = shop.guard.check(made.sql)
    assert isinstance(verdict, Approved), (made.sql, verdict)
    return await shop.query(verdict)


# The right answers, from the shop's rows and not from SQL.
SHOP: Final[Mapping[str, Any]] = shop_tables()
NAMES: Final = {
    table: {row[0]: row[1] for row in SHOP[table]} for table in ("regions", "customers", "categories", "products")
}
REGION_OF: Final = {row[0]: NAMES["regions"][row[3]] for row in SHOP["customers"]}
CATEGORY_OF: Final = {row[0]: NAMES["categories"][row[2]] for row in SHOP["products"]}
ORDERS: Final = {row[0]: row for row in SHOP["orders"]}


def ranked(pairs: Any, *, lowest: bool = False) -> list[tuple[Any, Any]]:
    sums: dict[Any, float] = defaultdict(float)
    for key, value in pairs:
        sums[key] += value
    return sorted(sums.items(), key=lambda item: item[1], reverse=not lowest)


def by_order(key: Callable[[Any], Any], *, where: Callable[[Any], bool] = lambda order: True) -> Any:
    return ((key(order), order[4]) for order in SHOP["orders"] if where(order))


def region(order: Any) -> Any:
    return REGION_OF[order[1]]


RANKINGS: Final = {
    "Which region had the highest total sales?": ranked(by_order(region)),
    "Which region had the lowest total sales?": ranked(by_order(region), lowest=True),
    "Total revenue by region in 2024": ranked(by_order(region, where=lambda order: order[2] < "2025")),
    "top 5 products by revenue": ranked((NAMES["products"][item[2]], item[5]) for item in SHOP["order_items"])[:5],
    "What are our best-selling products?": ranked((NAMES["products"][i[2]], i[3]) for i in SHOP["order_items"])[:10],
    "How many units were sold per category?": ranked((CATEGORY_OF[i[2]], i[3]) for i in SHOP["order_items"]),
    "Which customer spent the most?": ranked(by_order(lambda order: NAMES["customers"][order[1]]))[:10],
    "Sales by channel": ranked(by_order(lambda order: order[3])),
    "Orders by channel": Counter(order[3] for order in SHOP["orders"]).most_common(),
    "Who placed the most orders?": ranked((NAMES["customers"][order[1]], 1) for order in SHOP["orders"])[:10],
    "compare sales of East and West": [pair for pair in ranked(by_order(region)) if pair[0] in ("East", "West")],
    "monthly revenue in 2024": sorted(ranked(by_order(lambda o: o[2][:7], where=lambda order: order[2] < "2025"))),
    "Which month had the highest sales?": ranked(by_order(lambda order: order[2][:7]))[:10],
    "Number of customers in each region": ranked((REGION_OF[customer[0]], 1) for customer in SHOP["customers"]),
}
NUMBERS: Final = {
    "How many customers are there?": len(SHOP["customers"]),
    "What is our total revenue?": sum(order[4] for order in SHOP["orders"]),
    "How many orders were placed in March 2024?": sum(order[2][:7] == "2024-03" for order in SHOP["orders"]),
    "What was the total revenue in the West region?": dict(ranked(by_order(region)))["West"],
    "What is the average order value?": round(sum(o[4] for o in SHOP["orders"]) / len(SHOP["orders"]), 2),
    "How many orders over 500?": sum(order[4] > 500 for order in SHOP["orders"]),
    "How many products are in the Tea category?": sum(one == "Tea" for one in CATEGORY_OF.values()),
    "How many orders did Ada Adler place?": sum(
        NAMES["customers"][order[1]] == "Ada Adler" for order in SHOP["orders"]
    ),
    "What is the total of all web orders in 2025?": sum(
        order[4] for order in SHOP["orders"] if order[3] == "Web" and order[2] >= "2025"
    ),
    "How many customers ordered in 2024?": len({order[1] for order in SHOP["orders"] if order[2] < "2025"}),
    "What is the highest price?": max(product[3] for product in SHOP["products"]),
}


@pytest.mark.parametrize("question", RANKINGS)
async def test_rankings_are_right(question: str, shop: Database) -> None:
    rows = await rows_for(question, shop)
    assert [float(str(row[-1])) for row in rows.rows] == [value for _, value in RANKINGS[question]]
    # Where two are equal, either may come first.
    assert {row[-2] for row in rows.rows[:1]} <= {name for name, _ in RANKINGS[question]}


@pytest.mark.parametrize("question", NUMBERS)
async def test_numbers_are_right(question: str, shop: Database) -> None:
    rows = await rows_for(question, shop)
    assert [[float(str(cell)) for cell in row] for row in rows.rows] == [[NUMBERS[question]]]


async def test_lists_show_the_rows_that_were_asked_for(shop: Database) -> None:
    cheapest = await rows_for("What are the 3 cheapest products?", shop)
    assert [row[-1] for row in cheapest.rows] == sorted(product[3] for product in SHOP["products"])[:3]
    over = await rows_for("Show the products over 100", shop)
    assert {row[1] for row in over.rows} == {product[1] for product in SHOP["products"] if product[3] > 100}
    north = await rows_for("List customers in the North region", shop)
    assert {row[1] for row in north.rows} == {NAMES["customers"][i] for i, name in REGION_OF.items() if name == "North"}
    latest = await rows_for("the latest 5 orders", shop)
    assert {row[-1] for row in latest.rows} == {max(order[2] for order in SHOP["orders"])} | {
        order[2] for order in SHOP["orders"][-5:]
    }


@pytest.mark.parametrize(
    "question", ["delete all orders", "drop table orders", "Please set the price of all products to 0"]
)
async def test_the_guard_blocks_what_a_naive_model_drafts(question: str, shop: Database) -> None:
    made = draft_write(question, parse_schema((await shop.schema()).describe()))
    assert made is not None
    assert not isinstance(shop.guard.check(made.sql), Approved)


async def test_two_turns_end_in_the_right_sentence(shop: Database) -> None:
    """The whole way of the first question in the README: schema, query, rows, words."""
    question = user("Which region had the highest total sales?")
    assert (await answer(question, tools=DATABASE)).tool == "schema"
    schema: list[LLMMessage] = [called("schema"), returned("schema", (await shop.schema()).describe())]
    drafted = await answer(question, *schema, tools=DATABASE)
    verdict = shop.guard.check(json.loads(drafted.arguments)["sql"])
    assert isinstance(verdict, Approved)
    rows = await shop.query(verdict)
    said = await answer(question, told(f"Result of the query ({rows.summary}):\n\n{rows.to_markdown()}"))
    name, total = RANKINGS["Which region had the highest total sales?"][0]
    assert said.text.startswith(f"The **{name}** region had the highest total sales: {total:,.2f}.")


@pytest.mark.parametrize("question", [*RANKINGS, *NUMBERS])
async def test_second_drafts_pass_the_guard(question: str, shop: Database) -> None:
    made = draft_simpler(question, parse_schema((await shop.schema()).describe()))
    assert made is not None
    assert isinstance(shop.guard.check(made.sql), Approved)
