"""The SELECT that answers a `ShopQuestion`, and the sentence that says what it does."""

from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.shop_question import MONTHS, TIMES, Facet, ShopQuestion

_COLUMNS: Final = {
    "region": ("regions", "regions.name"),
    "segment": ("customers", "customers.segment"),
    "category": ("categories", "categories.name"),
    "channel": ("orders", "orders.channel"),
    "customer": ("customers", "customers.name"),
    "product": ("products", "products.name"),
}
_YEAR: Final = "strftime('%Y', orders.ordered_on)"
_MONTH: Final = "strftime('%m', orders.ordered_on)"
_QUARTER: Final = f"((CAST({_MONTH} AS INTEGER) + 2) / 3)"
_TIMES: Final = {
    "year": _YEAR,
    "quarter": f"{_YEAR} || '-Q' || {_QUARTER}",
    "month": "strftime('%Y-%m', orders.ordered_on)",
}
_JOINS: Final = {  # a table, its parent and the condition: joins follow the way to the parent
    "orders": ("order_items", "order_items.order_id = orders.id"),
    "products": ("order_items", "order_items.product_id = products.id"),
    "categories": ("products", "products.category_id = categories.id"),
    "customers": ("orders", "orders.customer_id = customers.id"),
    "regions": ("customers", "customers.region_id = regions.id"),
}


@dataclass(frozen=True, slots=True)
class PlannedQuery:
    sql: str
    plan: str


def plan_query(question: ShopQuestion) -> PlannedQuery:
    base, value, alias = _figure(question)
    groups = [(_TIMES.get(one) or _COLUMNS[one][1], one) for one in question.dimensions]
    columns = [f"{sql} AS {name}" for sql, name in groups] + ([f"{value} AS {alias}"] if value else [])
    if question.listed:
        columns = [f"DISTINCT {_COLUMNS[question.listed][1]} AS {question.listed}"]
    lines = [f"SELECT {', '.join(columns)}", f"FROM {base}", *_joins(question, base)]
    conditions = [_condition(facet, values) for facet, values in question.values.items()]
    if conditions:
        lines.append(f"WHERE {' AND '.join(conditions)}")
    if groups:
        lines.append(f"GROUP BY {', '.join(sql for sql, _ in groups)}")
    if order := _order(question, alias):
        lines.append(f"ORDER BY {order}")
    if question.top:
        lines.append(f"LIMIT {question.top}")
    return PlannedQuery("\n".join(lines), f"I will look up {describe(question)}.")


def describe(question: ShopQuestion) -> str:
    """The whole question in words, with what a fragment took from the question before it."""
    by = f" by {' and '.join(question.dimensions)}" if question.dimensions else ""
    values = [
        f"{facet} {' and '.join(_spoken(facet, one) for one in names)}" for facet, names in question.values.items()
    ]
    where = f" for {', '.join(values)}" if values else ""
    first = "" if question.highest is None else ", highest first" if question.highest else ", lowest first"
    top = f", {question.top} rows" if question.top else ""
    what = question.figure or f"the names of each {question.listed}"
    return f"{what}{by}{where}{first}{top}"


def _figure(question: ShopQuestion) -> tuple[str, str, str]:
    """The base table, the aggregate and its name."""
    needs_items = bool(question.facets & {"product", "category"})
    orders = "order_items" if needs_items else "orders"
    match question.figure:
        case "sales" | "revenue" as name:
            amount = "order_items.amount" if needs_items else "orders.total"
            return orders, f"ROUND(SUM({amount}), 2)", f"total_{name}"
        case "units":
            return "order_items", "SUM(order_items.quantity)", "units_sold"
        case "order value":
            return "orders", "ROUND(AVG(orders.total), 2)", "average_order_value"
        case "orders":
            return orders, "COUNT(DISTINCT orders.id)", "number_of_orders"
        case "customers with orders":
            return orders, "COUNT(DISTINCT orders.customer_id)", "number_of_customers"
        case "segments":
            return "customers", "COUNT(DISTINCT customers.segment)", "number_of_segments"
        case "channels":
            return "orders", "COUNT(DISTINCT orders.channel)", "number_of_channels"
        case "":
            return _COLUMNS[question.listed][0], "", ""
        case table:  # customers, products, regions, categories
            return table, "COUNT(*)", f"number_of_{table}"


def _condition(facet: Facet, values: tuple[str, ...]) -> str:
    if facet == "year":  # a range, so that an index on the date counts
        ranges = (f"orders.ordered_on >= '{y}-01-01' AND orders.ordered_on < '{int(y) + 1}-01-01'" for y in values)
        return f"({' OR '.join(ranges)})"
    column = {"month": _MONTH, "quarter": f"CAST({_QUARTER} AS TEXT)"}.get(facet) or _COLUMNS[facet][1]
    quoted = [f"'{value}'" for value in values]
    return f"{column} = {quoted[0]}" if len(quoted) == 1 else f"{column} IN ({', '.join(quoted)})"


def _joins(question: ShopQuestion, base: str) -> list[str]:
    joined: list[str] = [base]
    facets = (*question.dimensions, *question.values)
    needed = [_COLUMNS[facet][0] if facet in _COLUMNS else "orders" for facet in facets]
    if base == "order_items" and question.figure in ("customers with orders", "orders"):
        needed.append("orders")
    for table in needed:
        way: list[str] = []
        while table not in joined:
            way.insert(0, table)
            table = _JOINS[table][0]
        joined += way
    return [f"JOIN {table} ON {_JOINS[table][1]}" for table in joined[1:]]


def _order(question: ShopQuestion, alias: str) -> str:
    if question.listed:
        return question.listed
    if not question.dimensions:
        return ""
    if question.highest is None and set(question.dimensions) & set(TIMES):
        return ", ".join(sorted(question.dimensions, key=lambda facet: facet not in TIMES))
    return f"{alias} {'ASC' if question.highest is False else 'DESC'}"


def _spoken(facet: Facet, value: str) -> str:
    return MONTHS[int(value) - 1] if facet == "month" else value
