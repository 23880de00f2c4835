"""Questions about the demo shop: a grammar that consumes every word, and the SELECT for the question that it read.

Each rule takes the words that it understands out of the question. What is left and is not a filler is unclear, and an
unclear question gets no figure. A fragment such as "Only 2024" continues the question before it.
"""

import re
from calendar import month_name
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aiostream_server.models.demo.conversation import shorten

_MAX_CHARACTERS: Final = 240  # the rules' time grows with the square of the length
_MAX_EARLIER: Final = 12

_TIMES: Final = ("year", "month")
_MONTHS: Final = month_name[1:]


class _Facet(NamedTuple):
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
    for n, name in enumerate(_MONTHS, 1)
}
_YEAR: Final = "strftime('%Y', orders.ordered_on)"
_MONTH: Final = "strftime('%Y-%m', orders.ordered_on)"
_MONTH_NUMBER: Final = "strftime('%m', orders.ordered_on)"
_FACETS: Final[Mapping[str, _Facet]] = {
    "region": _Facet("regions?", ("orders", "customers", "regions"), "regions.name", _REGIONS),
    "category": _Facet("(?:product )?categor(?:y|ies)", ("products", "categories"), "categories.name", _CATEGORIES),
    "channel": _Facet("(?:sales )?channels?", ("orders",), "orders.channel", _CHANNELS),
    "customer": _Facet("customers?|clients?", ("orders", "customers"), "customers.name"),
    "product": _Facet("products?", ("products",), "products.name"),
    "year": _Facet("years?", ("orders",), _YEAR, {"": r"(?<!from )20\d\d"}),  # "from 2024" could mean "since"
    "month": _Facet("months?", ("orders",), _MONTH, _MONTH_VALUES, _MONTH_NUMBER),
}
_JOINED_ON: Final = {
    "orders": "order_items.order_id = orders.id",
    "products": "order_items.product_id = products.id",
    "categories": "products.category_id = categories.id",
    "customers": "orders.customer_id = customers.id",
    "regions": "customers.region_id = regions.id",
}
_NOUN: Final = f"(?:{'|'.join(facet.noun for facet in _FACETS.values())})"
_AND: Final = r"(?:,? and |, ?| or | vs\.? | versus )"
_HIGH: Final = "highest|most|best[- ]selling|best|top|largest|biggest|greatest|strongest"
_LOW: Final = "lowest|least|fewest|worst|bottom|smallest|weakest"
_COUNT: Final = r"(?:how many|(?:total )?number of|count(?: of)?)(?: the| our| all| different)*(?: \|)*"
_TOTAL: Final = r"(?:total (?:\| )*)?"


class _Figure(NamedTuple):
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
_FIGURES: Final[Mapping[str, _Figure]] = {
    "order value": _Figure("average order(?: value| size| total)?", "average_order_value", _AVERAGE),
    "units": _Figure(rf"(?:{_COUNT} |{_TOTAL})(?:units|pieces)", "units_sold", _UNITS),
    "orders": _Figure(rf"(?:{_COUNT} |{_TOTAL})(?:orders|purchases)", "number_of_orders", _ORDERS),
    "revenue": _Figure(f"{_TOTAL}(?:sales )?revenue", "total_revenue", _SUM),
    "sales": _Figure(f"{_TOTAL}(?:sales(?: amount)?|amount|turnover|spending)|spent|spend", "total_sales", _SUM),
    "customers": _Figure(f"{_COUNT} (?:customers|clients)", "number_of_customers", _CUSTOMERS),
    "customers with orders": _Figure("(?!)", "number_of_customers", _BUYERS),
}
_CHART: Final = (
    "plot|draw|(?:as )?(?:an? )?(?:(?:line|bar|pie|column) )?(?:chart|graph|diagram|picture)|as (?:bars|columns)"
)
_CONTINUES: Final = (
    "and|or|but|now|then|also|only|just|instead|what about|how about|(?:the )?same"
    "|(?:break|split|show|group|plot|draw|chart|graph) (?:it|that|this|them|these)(?: down| up)?"
)
_FILLERS: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the of in for from during with our we us you me i my s is are was were be been do does did has had have "
        "can could would will please tell give show what how all only just also now compare much place placed develop",
    )
)
_WORD: Final = re.compile(r"[^\W_]+|[^\w\s?!.,;:|\"'’“”()–—-]|_+")


@dataclass(frozen=True, slots=True)
class Unclear:
    """`words` are those that no rule consumed; empty where only their combination has no meaning."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShopQuestion:
    """A `figure` split by `dimensions`, of the rows with `values`; a fragment has no figure."""

    figure: str = ""
    dimensions: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    highest: bool | None = None
    top: int | None = None

    @property
    def has_meaning(self) -> bool:
        """Whether the figure can be split and restricted so."""
        if "month" in self.values and len(self.values.get("year", ())) > 1:
            return False  # "March 2024 and 2025"
        return (self.highest is None or bool(self.dimensions)) and bool(self.table)

    @property
    def table(self) -> str:
        """The smallest table that the figure and all facets allow."""
        tables = _FIGURES[self.figure].aggregates if self.figure in _FIGURES else {}
        paths = [_FACETS[name].path for name in (*self.dimensions, *self.values)]
        return next((one for one in tables if one == "order_items" or all(one in path for path in paths)), "")


class PlannedQuery(NamedTuple):
    """`plan` is the sentence that says what the query does."""

    sql: str
    plan: str


class _Remainder:
    """The words of a question that no rule has taken; each taken phrase leaves a bar."""

    def __init__(self, question: str) -> None:
        spelled = re.sub(r"\b(20\d\d)-(0[1-9]|1[0-2])\b(?!-)", lambda m: f"{_MONTHS[int(m[2]) - 1]} {m[1]}", question)
        self.text = " ".join(spelled.replace("|", " / ").split()).strip(" ?!.,")

    def take(self, pattern: str, *, mark: str = "|") -> re.Match[str] | None:
        found = re.search(rf"(?<!\w)(?:{pattern})(?!\w)", self.text, re.IGNORECASE)
        if found:
            self.text = f"{self.text[: found.start()]}{mark}{self.text[found.end() :]}"
        return found

    def take_lead(self, pattern: str) -> bool:
        found = re.match(rf"[\W_]*(?:{pattern})\b", self.text, re.IGNORECASE)
        self.text = self.text[found.end() :].lstrip(" ,") if found else self.text
        return found is not None

    def take_values(self, facet: _Facet) -> tuple[str, ...]:
        """All values of a facet, each with its noun; a word between two of them ("East and West") goes with them."""
        noun, names = f"(?:{facet.noun})", list[str]()
        for name, pattern in facet.values.items():
            while found := self.take(rf"(?:{noun} (?:of )?)?(?P<value>{pattern})(?: {noun})?", mark="¤"):
                names.append(name or found["value"])
        self.text = re.sub(rf"¤(?:{_AND}(?:in )?(?:the )?¤)+", "¤", self.text, flags=re.IGNORECASE).replace("¤", "|")
        return tuple(dict.fromkeys(names))

    def unclear(self) -> tuple[str, ...]:
        return tuple(word for word in _WORD.findall(self.text) if word.casefold() not in _FILLERS)


def read_question(question: str, earlier: Sequence[str] = ()) -> ShopQuestion | Unclear:
    """Understand `question`, as the continuation of the `earlier` ones where it is a fragment."""
    before: ShopQuestion | None = None
    for asked in earlier[-_MAX_EARLIER:]:
        read = _read(asked, before)
        if isinstance(read, ShopQuestion):
            before = read
        elif len(read.words) < len(_Remainder(asked).unclear()):  # of the shop, but unclear: nothing to continue
            before = None
    return _read(question, before)


def _read(question: str, before: ShopQuestion | None) -> ShopQuestion | Unclear:
    if len(question) > _MAX_CHARACTERS:
        return Unclear((shorten(question),))
    text = _Remainder(question)
    continues = False
    while text.take_lead(_CONTINUES):
        continues = True
    is_complete = text.take("(?:are|is|were) there|there (?:are|is|were)|in total|overall|altogether") is not None
    part = _take_question(text)
    if unclear := text.unclear():
        return Unclear(unclear)
    if not part.figure or (continues and not is_complete):
        if before is None:
            return Unclear(_Remainder(question).unclear())
        part = _continued(before, part)
    return part if part.has_meaning else Unclear()


def _continued(before: ShopQuestion, part: ShopQuestion) -> ShopQuestion:
    """What the fragment names replaces what the question before it named; all times count as one."""
    replaced = {*part.values, *(_TIMES if set(part.values) & set(_TIMES) else ())}
    keeps_order = not part.figure and part.highest is None and not set(part.dimensions) & set(_TIMES)
    highest = before.highest if keeps_order else part.highest
    return ShopQuestion(
        figure=part.figure or before.figure,
        dimensions=part.dimensions or before.dimensions,
        values={facet: names for facet, names in before.values.items() if facet not in replaced} | dict(part.values),
        highest=highest,
        top=part.top or (before.top if highest is not None and not part.figure else None),
    )


def _take_question(text: _Remainder) -> ShopQuestion:
    """Let every rule take its words, the most telling rules first."""
    while text.take(_CHART):
        pass
    values = {name: taken for name, facet in _FACETS.items() if (taken := text.take_values(facet))}
    rank = text.take(rf"(?:(?P<n>[1-9]\d?) )?(?P<rank>{_HIGH}|{_LOW})(?: (?P<m>[1-9]\d?))?(?: (?P<noun>{_NOUN}))?")
    which = text.take(rf"(?:which|what)(?: (?P<n>[1-9]\d?))? (?P<noun>{_NOUN})")
    is_sold = text.take("sold|sells?|bought|buys?|ordered|placed orders?") is not None
    asked = [_facet(found["noun"]) for found in (rank, which) if found and found["noun"]]
    asked += ["customer"] if text.take_lead("who") else []
    if rank and rank["noun"] and rank["rank"].casefold() in ("most", "least", "fewest"):
        figure = f"{asked.pop(0)}s"  # "most customers" counts them
    elif rank and "sell" in rank[0].casefold():
        figure = "units"
    else:
        figure = next((name for name, one in _FIGURES.items() if text.take(one.pattern)), "")
    split_by = _take_split(text)
    if figure:
        text.take(r"by(?= ?\|)")  # "top 5 products by revenue"
        text.take(r"(?<=\| )(?:customers|clients|products|orders)|(?:customers|clients|products) in (?:the )?(?=\|)")
    elif not asked and not split_by and (named := text.take(rf"(?:(?:the|our|every|\|) )*(?P<noun>{_NOUN})")):
        split_by = [_facet(named["noun"])]  # "And customers?"
    dimensions = [*asked, *split_by]
    dimensions += [facet for facet, names in values.items() if len(names) > 1 and facet not in dimensions]
    if rank and asked and split_by:
        figure = "ambiguous"  # "top 5 products by category": five in all, or in each?
    elif not figure and ((asked and rank) or (is_sold and not text.unclear())):
        figure = "sales"
    elif figure == "customers" and is_sold:
        figure = "customers with orders"
    numbers = [found[name] for found, name in ((rank, "n"), (rank, "m"), (which, "n")) if found and found[name]]
    return ShopQuestion(
        figure=figure,
        dimensions=tuple(dict.fromkeys(dimensions)),
        values=values,
        highest=re.fullmatch(_HIGH, rank["rank"], re.IGNORECASE) is not None if rank else None,
        top=int(numbers[0]) if numbers else None,
    )


def _take_split(text: _Remainder) -> list[str]:
    split_by = [facet for facet in _TIMES if text.take(f"{facet}ly|{facet} by {facet}")]
    split_by += ["month"] if text.take("over time") else []
    while found := text.take(rf"(?:by|per|each|every|across)(?: the| our)? {_NOUN}(?:{_AND}{_NOUN})*"):
        split_by += map(_facet, re.findall(rf"\b{_NOUN}\b", found[0], re.IGNORECASE))
    return split_by


def _facet(noun: str) -> str:
    return next(name for name, facet in _FACETS.items() if re.fullmatch(facet.noun, noun, re.IGNORECASE))


def plan_query(question: ShopQuestion) -> PlannedQuery:
    """The SELECT for a question that has a meaning."""
    figure, table = _FIGURES[question.figure], question.table
    groups = {name: _FACETS[name].column for name in question.dimensions}
    columns = [
        *(f"{column} AS {name}" for name, column in groups.items()),
        f"{figure.aggregates[table]} AS {figure.alias}",
    ]
    paths = (_FACETS[name].path for name in (*question.dimensions, *question.values))
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
    return f"{_FACETS[name].compared or _FACETS[name].column} IN ({quoted})"


def _order(question: ShopQuestion, alias: str) -> str:
    """Times in their order; else by the figure, the highest first."""
    if question.highest is None and set(question.dimensions) & set(_TIMES):
        return ", ".join(sorted(question.dimensions, key=lambda facet: facet not in _TIMES))
    return f"{alias} {'ASC' if question.highest is False else 'DESC'}"


def _describe(question: ShopQuestion) -> str:
    """The whole question in words, with what a fragment took from the question before it."""
    by = f" by {' and '.join(question.dimensions)}" if question.dimensions else ""
    values = [
        f"{facet} {' and '.join(_MONTHS[int(one) - 1] if facet == 'month' else one for one in names)}"
        for facet, names in question.values.items()
    ]
    where = f" for {', '.join(values)}" if values else ""
    first = "" if question.highest is None else ", highest first" if question.highest else ", lowest first"
    top = f", {question.top} rows" if question.top else ""
    return f"{question.figure}{by}{where}{first}{top}"
