"""What can be asked about the demo shop: figures, what they are split by or restricted to, and the words for both."""

from calendar import month_name
from collections.abc import Mapping
from typing import Final, NamedTuple

TIMES: Final = ("year", "month")
MONTHS: Final = month_name[1:]


class Facet(NamedTuple):
    """What a figure is split by, or restricted to values of: `{value: pattern}`.

    `path` are the tables between `order_items` and the facet. Values are compared with `compared`, or else `column`.
    """

    noun: str
    path: tuple[str, ...]
    column: str
    values: Mapping[str, str] = {}
    compared: str = ""


_REGIONS: Final = {"North": "north", "South": "south", "East": "east", "West": "west"}
_CATEGORIES: Final = {"Coffee": "coffee", "Tea": "tea", "Machines": "machines", "Accessories": "accessories"}
_CHANNELS: Final = {"Web": "web", "Phone": "phone", "Shop": "shop(?= (?:orders|channel))"}  # "our shop" is no value
_MONTH_VALUES: Final = {
    f"{n:02d}": "(?<=in )may|may(?= 20)" if name == "May" else f"{name[:3]}(?:{name[3:]})?"
    for n, name in enumerate(MONTHS, 1)
}
_YEAR: Final = "strftime('%Y', orders.ordered_on)"
_MONTH: Final = "strftime('%Y-%m', orders.ordered_on)"
_MONTH_NUMBER: Final = "strftime('%m', orders.ordered_on)"
FACETS: Final[Mapping[str, Facet]] = {
    "region": Facet("regions?", ("orders", "customers", "regions"), "regions.name", _REGIONS),
    "category": Facet("(?:product )?categor(?:y|ies)", ("products", "categories"), "categories.name", _CATEGORIES),
    "channel": Facet("(?:sales )?channels?", ("orders",), "orders.channel", _CHANNELS),
    "customer": Facet("customers?|clients?", ("orders", "customers"), "customers.name"),
    "product": Facet("products?", ("products",), "products.name"),
    "year": Facet("years?", ("orders",), _YEAR, {"": r"(?<!from )20\d\d"}),  # "from 2024" could mean "since"
    "month": Facet("months?", ("orders",), _MONTH, _MONTH_VALUES, _MONTH_NUMBER),
}
_COUNT: Final = r"(?:how many|(?:total )?number of|count(?: of)?)(?: the| our| all| different)*(?: \|)*"
_TOTAL: Final = r"(?:total (?:\| )*)?"


class Figure(NamedTuple):
    """`aggregates` are by the table with the rows that they count or sum, the smallest table first."""

    pattern: str
    alias: str
    aggregates: Mapping[str, str]


_SUM: Final = {"orders": "ROUND(SUM(orders.total), 2)", "order_items": "ROUND(SUM(order_items.amount), 2)"}
_AVERAGE: Final = {"orders": "ROUND(AVG(orders.total), 2)"}
_UNITS: Final = {"order_items": "SUM(order_items.quantity)"}
_ORDERS: Final = {"orders": "COUNT(*)", "order_items": "COUNT(DISTINCT order_items.order_id)"}
_CUSTOMERS: Final = {"customers": "COUNT(*)", "orders": "COUNT(DISTINCT orders.customer_id)"}
_BUYERS: Final = {"orders": "COUNT(DISTINCT orders.customer_id)"}
FIGURES: Final[Mapping[str, Figure]] = {
    "order value": Figure("average order(?: value| size| total)?", "average_order_value", _AVERAGE),
    "units": Figure(rf"(?:{_COUNT} |{_TOTAL})(?:units|pieces)", "units_sold", _UNITS),
    "orders": Figure(rf"(?:{_COUNT} |{_TOTAL})(?:orders|purchases)", "number_of_orders", _ORDERS),
    "revenue": Figure(f"{_TOTAL}(?:sales )?revenue", "total_revenue", _SUM),
    "sales": Figure(f"{_TOTAL}(?:sales(?: amount)?|amount|turnover|spending)|spent|spend", "total_sales", _SUM),
    "customers": Figure(f"{_COUNT} (?:customers|clients)", "number_of_customers", _CUSTOMERS),
    "customers with orders": Figure("(?!)", "number_of_customers", _BUYERS),
}
