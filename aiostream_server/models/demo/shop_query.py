"""The SELECT for a question about the demo shop, and the sentence that says what it does."""

from collections.abc import Iterable
from typing import Final, NamedTuple

from aiostream_server.models.demo.shop_question import ShopQuestion
from aiostream_server.models.demo.shop_terms import FACETS, FIGURES, MONTHS, TIMES

_JOINED_ON: Final = {
    "orders": "order_items.order_id = orders.id",
    "products": "order_items.product_id = products.id",
    "categories": "products.category_id = categories.id",
    "customers": "orders.customer_id = customers.id",
    "regions": "customers.region_id = regions.id",
}


class PlannedQuery(NamedTuple):
    """`plan` is the sentence that says what the query does."""

    sql: str
    plan: str


def plan_query(question: ShopQuestion) -> PlannedQuery:
    """The SELECT for a question that has a meaning."""
    figure, table = FIGURES[question.figure], question.table
    groups = {name: FACETS[name].column for name in question.dimensions}
    columns = [
        *(f"{column} AS {name}" for name, column in groups.items()),
        f"{figure.aggregates[table]} AS {figure.alias}",
    ]
    paths = (FACETS[name].path for name in (*question.dimensions, *question.values))
    joined = dict.fromkeys(one for path in paths for one in path[path.index(table) + 1 if table in path else 0 :])
    lines = [f"SELECT {', '.join(columns)}", f"FROM {table}", *(f"JOIN {one} ON {_JOINED_ON[one]}" for one in joined)]
    if question.values:
        lines.append(f"WHERE {' AND '.join(_condition(*one) for one in question.values.items())}")
    if groups:
        lines += [f"GROUP BY {', '.join(groups.values())}", f"ORDER BY {_order(question, figure.alias)}"]
    if question.top:
        lines.append(f"LIMIT {question.top}")
    return PlannedQuery("\n".join(lines), f"I will look up {_describe(question)}.")


def _condition(name: str, values: Iterable[str]) -> str:
    quoted = ", ".join(f"'{value}'" for value in values)
    return f"{FACETS[name].compared or FACETS[name].column} IN ({quoted})"


def _order(question: ShopQuestion, alias: str) -> str:
    """Times in their order; else by the figure, the highest first."""
    if question.highest is None and set(question.dimensions) & set(TIMES):
        return ", ".join(sorted(question.dimensions, key=lambda facet: facet not in TIMES))
    return f"{alias} {'ASC' if question.highest is False else 'DESC'}"


def _describe(question: ShopQuestion) -> str:
    """The whole question in words, with what a fragment took from the question before it."""
    by = f" by {' and '.join(question.dimensions)}" if question.dimensions else ""
    values = [
        f"{facet} {' and '.join(MONTHS[int(one) - 1] if facet == 'month' else one for one in names)}"
        for facet, names in question.values.items()
    ]
    where = f" for {', '.join(values)}" if values else ""
    first = "" if question.highest is None else ", highest first" if question.highest else ", lowest first"
    top = f", {question.top} rows" if question.top else ""
    return f"{question.figure}{by}{where}{first}{top}"
