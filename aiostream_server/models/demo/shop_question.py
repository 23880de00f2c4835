"""A grammar for questions about the demo shop: figure, dimensions, values, ranking. It consumes every word.

Each rule takes the words that it understands out of the question. What is left and is not a filler is unclear, and an
unclear question gets no figure. A fragment such as "Only 2024" continues the question before it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

Facet: TypeAlias = str  # a key of _NOUNS: what a figure is split by, or restricted to values of

TIMES: Final = ("year", "quarter", "month")
MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_NOUNS: Final = {
    "region": "regions?",
    "segment": "(?:customer )?segments?",
    "category": "(?:product )?categor(?:y|ies)",
    "channel": "(?:sales )?channels?",
    "customer": "customers?|clients?",
    "product": "products?",
    "year": "years?",
    "quarter": "quarters?",
    "month": "months?",
}
_NOUN: Final = f"(?:{'|'.join(_NOUNS.values())})"
# A value that is also an ordinary word counts only where the words around it decide: "our business", "may I".
_VALUES: Final[Mapping[Facet, Mapping[str, str]]] = {
    "region": {"North": "north", "South": "south", "East": "east", "West": "west"},
    "segment": {
        "Home": "home(?= (?:customers|clients|segment))",
        "Business": "business(?= (?:customers|clients|segment))",
        "Public sector": "public sector",
    },
    "category": {"Coffee": "coffee", "Tea": "tea", "Machines": "machines", "Accessories": "accessories"},
    "channel": {"Web": "web", "Shop": "shop(?= (?:orders|channel))", "Phone": "phone"},
    "year": {"": r"(?<!from )20\d\d"},  # "from 2024" could mean "since"
    "quarter": {f"{n}": f"q{n}|{word} quarter" for n, word in enumerate(("first", "second", "third", "fourth"), 1)},
    "month": {
        f"{n:02d}": "(?<=in )may|may(?= 20)" if name == "May" else f"{name[:3]}(?:{name[3:]})?".casefold()
        for n, name in enumerate(MONTHS, 1)
    },
}
_AND: Final = r"(?:,? and |, ?| or | vs\.? | versus )"
_HIGH: Final = "highest|most|best[- ]selling|best|top|largest|biggest|greatest|strongest"
_LOW: Final = "lowest|least|fewest|worst|bottom|smallest|weakest"
_COUNT: Final = r"(?:how many|(?:total )?number of|count(?: of)?)(?: the| our| all| different)*(?: \|)*"
_TOTAL: Final = r"total (?:\| )*"
_FIGURES: Final = (
    ("average order(?: value| size| total)?", "order value"),
    (rf"(?:{_COUNT} |{_TOTAL})?(?:units|pieces)", "units"),
    (rf"(?:{_COUNT} |{_TOTAL})?(?:orders|purchases)", "orders"),
    (f"(?:{_TOTAL})?(?:sales )?revenue", "revenue"),
    (f"(?:{_TOTAL})?(?:sales(?: amount)?|amount|turnover|spending)|spent|spend", "sales"),
)
_CHART: Final = (
    "plot|draw|(?:as )?(?:an? )?(?:(?:line|bar|pie|column) )?(?:chart|graph|diagram|picture)|as (?:bars|columns)"
)
_CONTINUES: Final = (
    "and|or|but|now|then|also|only|just|instead|what about|how about|(?:the )?same"
    "|(?:break|split|show|group) (?:it|that|them)(?: down| up)?"
)
_FILLERS: Final = frozenset(
    re.findall(
        r"\w+",
        "a an the of in for from during with our we us you me i my s is are was were be been do does did has "
        "had have can could would will please tell give show what how all only just also now compare much place placed "
        "develop",
    )
)
_WORD: Final = re.compile(r"[^\W_]+|[^\w\s?!.,;:|\"'’“”()–—-]|_+")


@dataclass(frozen=True, slots=True)
class Unclear:
    """`words` are those that no rule consumed; empty where only their combination has no meaning."""

    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ShopQuestion:
    """A figure split by `dimensions`, of the rows with `values`; without a figure, the names of what is `listed`."""

    figure: str = ""
    listed: Facet = ""
    dimensions: tuple[Facet, ...] = ()
    values: Mapping[Facet, tuple[str, ...]] = field(default_factory=dict)
    highest: bool | None = None
    top: int | None = None

    @property
    def facets(self) -> set[Facet]:
        return {*self.dimensions, *self.values}


class _Remainder:
    """The words of a question that no rule has taken; each taken phrase leaves a bar."""

    def __init__(self, question: str) -> None:
        spelled = re.sub(r"\b(20\d\d)-(0[1-9]|1[0-2])\b(?!-)", lambda m: f"{MONTHS[int(m[2]) - 1]} {m[1]}", question)
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

    def take_values(self, facet: Facet) -> tuple[str, ...]:
        """All values of a facet, each with its noun; a word between two of them ("East and West") goes with them."""
        noun, names = f"(?:{_NOUNS[facet]})", list[str]()
        for name, pattern in _VALUES[facet].items():
            while found := self.take(rf"(?:{noun} (?:of )?)?(?P<value>{pattern})(?: {noun})?", mark="¤"):
                names.append(name or found["value"])
        self.text = re.sub(rf"¤(?:{_AND}(?:in )?(?:the )?¤)+", "¤", self.text, flags=re.IGNORECASE).replace("¤", "|")
        return tuple(dict.fromkeys(names))

    def unclear(self) -> tuple[str, ...]:
        return tuple(word for word in _WORD.findall(self.text) if word.casefold() not in _FILLERS)


def read_question(question: str, earlier: Sequence[str] = ()) -> ShopQuestion | Unclear:
    """Understand `question`, as the continuation of the `earlier` ones where it is a fragment."""
    before: ShopQuestion | None = None
    for asked in earlier:
        read = _read(asked, before)
        if isinstance(read, ShopQuestion):
            before = read
        elif len(read.words) < len(_Remainder(asked).unclear()):  # of the shop, but unclear: nothing to continue
            before = None
    return _read(question, before)


def _read(question: str, before: ShopQuestion | None) -> ShopQuestion | Unclear:
    text = _Remainder(question)
    continues = False
    while text.take_lead(_CONTINUES):
        continues = True
    is_complete = text.take("(?:are|is|were) there|there (?:are|is|were)|in total|overall|altogether") is not None
    part = _take_question(text)
    if unclear := text.unclear():
        return Unclear(unclear)
    is_fragment = not part.figure and (continues or not part.listed)
    if is_fragment or (continues and not is_complete):
        if before is None:
            return Unclear(_Remainder(question).unclear())
        part = _continued(before, part)
    return part if _has_meaning(part) else Unclear()


def _continued(before: ShopQuestion, part: ShopQuestion) -> ShopQuestion:
    """What the fragment names replaces what the question before it named; all times count as one."""
    times = set(TIMES) if set(part.values) & set(TIMES) else set[str]()
    kept = {facet: names for facet, names in before.values.items() if facet not in {*part.values, *times}}
    listed = () if not part.listed or before.listed else (part.listed,)
    is_course = bool(set(part.dimensions) & set(TIMES))
    highest = part.highest if part.figure or is_course or part.highest is not None else before.highest
    return replace(
        before,
        figure=part.figure or before.figure,
        listed="" if part.figure else before.listed,
        dimensions=part.dimensions or listed or before.dimensions,
        values=kept | dict(part.values),
        highest=highest,
        top=part.top or (before.top if highest is not None and not part.figure else None),
    )


def _take_question(text: _Remainder) -> ShopQuestion:
    """Let every rule take its words, the most telling rules first."""
    while text.take(_CHART):
        pass
    values = {facet: names for facet in _VALUES if (names := text.take_values(facet))}
    rank = text.take(rf"(?:(?P<n>[1-9]\d?) )?(?P<rank>{_HIGH}|{_LOW})(?: (?P<m>[1-9]\d?))?(?: (?P<noun>{_NOUN}))?")
    which = text.take(rf"(?:which|what)(?: (?P<n>[1-9]\d?))? (?P<noun>{_NOUN})")
    is_list = text.take("list|name") is not None
    is_sold = text.take("sold|sells?|bought|buys?|ordered|placed orders?") is not None
    asked_for = [_facet(found["noun"]) for found in (rank, which) if found and found["noun"]]
    asked_for += ["customer"] if text.take_lead("who") else []
    if rank and rank["noun"] and rank["rank"].casefold() in ("most", "least", "fewest"):
        figure = _plural(asked_for.pop(0))  # "most customers" counts them
    else:
        figure = "units" if rank and "sell" in rank[0].casefold() else _take_figure(text)
    split_by = _take_split(text)
    listed = "" if figure else _take_listed(text)
    if figure:
        text.take(r"by(?= ?\|)")  # "top 5 products by revenue"
        text.take(r"(?<=\| )(?:customers|clients|products|orders)|(?:customers|clients|products) in (?:the )?(?=\|)")
    dimensions = [*asked_for, *split_by]
    dimensions += [facet for facet, names in values.items() if len(names) > 1 and facet not in dimensions]
    if (rank and asked_for and split_by) or (is_list and (figure or dimensions)):
        figure = "ambiguous"  # "top 5 products by category": five in all, or in each? "list sales"?
    elif listed and dimensions:
        figure, listed = _plural(listed), ""
    elif not figure and not listed and ((dimensions and rank) or (is_sold and not text.unclear())):
        figure = "sales"
    elif which and not figure and not listed:
        listed, dimensions = dimensions[0], dimensions[1:]
    numbers = [found[name] for found, name in ((rank, "n"), (rank, "m"), (which, "n")) if found and found[name]]
    return ShopQuestion(
        figure=_of_orders(figure, {*dimensions, *values}, is_sold=is_sold),
        listed=listed,
        dimensions=tuple(dict.fromkeys(dimensions)),
        values=values,
        highest=re.fullmatch(_HIGH, rank["rank"], re.IGNORECASE) is not None if rank else None,
        top=int(numbers[0]) if numbers else None,
    )


def _of_orders(figure: str, facets: set[Facet], *, is_sold: bool) -> str:
    """Customers are counted by their orders where the question is about orders; products cannot be."""
    if figure == "customers" and (is_sold or facets & {"channel", "category", "product", *TIMES}):
        return "customers with orders"
    return "ambiguous" if figure == "products" and is_sold else figure


def _take_split(text: _Remainder) -> list[Facet]:
    split_by = [facet for facet in TIMES if text.take(f"{facet}ly|{facet} by {facet}")]
    split_by += ["month"] if text.take("over time") else []
    while found := text.take(rf"(?:by|per|each|every|across)(?: the| our)? {_NOUN}(?:{_AND}{_NOUN})*"):
        split_by += map(_facet, re.findall(rf"\b{_NOUN}\b", found[0], re.IGNORECASE))
    return split_by


def _take_figure(text: _Remainder) -> str:
    for pattern, figure in _FIGURES:
        if text.take(pattern):
            return figure
    found = text.take(rf"{_COUNT} (?P<noun>{_NOUN})")
    return _plural(_facet(found["noun"])) if found else ""


def _take_listed(text: _Remainder) -> Facet:
    found = text.take(rf"(?:(?:all|the|our|every|\|) )*(?P<noun>{_NOUN})")
    return _facet(found["noun"]) if found else ""


def _facet(noun: str) -> Facet:
    return next(facet for facet, pattern in _NOUNS.items() if re.fullmatch(pattern, noun, re.IGNORECASE))


def _plural(noun: str) -> str:
    return f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"


def _has_meaning(question: ShopQuestion) -> bool:
    """Whether the figure can be split and restricted so; and of a time, whether it is one."""
    times = [facet for facet in TIMES if facet in question.values]
    if len(times) > 1 and len(question.values.get("year", ())) > 1:
        return False  # "March 2024 and 2025"
    if (question.highest is not None and not question.dimensions) or {"quarter", "month"} <= set(times):
        return False
    of_customers = {"region", "segment", "customer"}
    if not question.figure:
        allowed = {"customer": of_customers - {"customer"}, "product": {"category"}}.get(question.listed, set())
        return bool(question.listed) and question.listed not in TIMES and question.facets <= allowed
    match question.figure:
        case "sales" | "revenue" | "units" | "orders" | "customers with orders":
            return True
        case "order value":
            return question.facets <= {*of_customers, "channel", *TIMES}
        case "customers":
            return question.facets <= of_customers
        case "products":
            return question.facets <= {"category"}
        case "regions" | "segments" | "categories" | "channels":
            return not question.facets
    return False
