"""Questions about the demo shop: a grammar that consumes every word.

Each rule takes the words that it understands out of the question. What is left and is not a filler is unclear, and an
unclear question gets no figure. A fragment such as "Only 2024" continues the question before it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from aiostream_server.models.demo.conversation import shorten
from aiostream_server.models.demo.shop_terms import FACETS, FIGURES, MONTHS, TIMES, Facet

_MAX_CHARACTERS: Final = 240  # the rules' time grows with the square of the length
_MAX_EARLIER: Final = 12

_NOUN: Final = f"(?:{'|'.join(facet.noun for facet in FACETS.values())})"
_AND: Final = r"(?:,? and |, ?| or | vs\.? | versus )"
_HIGH: Final = "highest|most|best[- ]selling|best|top|largest|biggest|greatest|strongest"
_LOW: Final = "lowest|least|fewest|worst|bottom|smallest|weakest"
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
        tables = FIGURES[self.figure].aggregates if self.figure in FIGURES else {}
        paths = [FACETS[name].path for name in (*self.dimensions, *self.values)]
        return next((one for one in tables if one == "order_items" or all(one in path for path in paths)), "")


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
    replaced = {*part.values, *(TIMES if set(part.values) & set(TIMES) else ())}
    keeps_order = not part.figure and part.highest is None and not set(part.dimensions) & set(TIMES)
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
    values = {name: taken for name, facet in FACETS.items() if (taken := text.take_values(facet))}
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
        figure = next((name for name, one in FIGURES.items() if text.take(one.pattern)), "")
    split_by = _take_split(text)
    if figure:
        text.take(r"by(?= ?\|)")  # "top 5 products by revenue"
        text.take(r"(?<=\| )(?:customers|clients|products|orders)|(?:customers|clients|products) in (?:the )?(?=\|)")
    elif not asked and not split_by and (named := text.take(rf"(?:(?:the|our|every|\|) )*(?P<noun>{_NOUN})")):
        split_by = [_facet(named["noun"])]  # "And customers?"
    several = [facet for facet, names in values.items() if len(names) > 1]
    numbers = [found[name] for found, name in ((rank, "n"), (rank, "m"), (which, "n")) if found and found[name]]
    if rank and asked and split_by:
        figure = "ambiguous"  # "top 5 products by category": five in all, or in each?
    elif not figure and ((asked and rank) or (is_sold and not text.unclear())):
        figure = "sales"
    elif figure == "customers" and is_sold:
        figure = "customers with orders"
    return ShopQuestion(
        figure=figure,
        dimensions=tuple(dict.fromkeys((*asked, *split_by, *several))),
        values=values,
        highest=re.fullmatch(_HIGH, rank["rank"], re.IGNORECASE) is not None if rank else None,
        top=int(numbers[0]) if numbers else None,
    )


def _take_split(text: _Remainder) -> list[str]:
    split_by = [facet for facet in TIMES if text.take(f"{facet}ly|{facet} by {facet}")]
    split_by += ["month"] if text.take("over time") else []
    while found := text.take(rf"(?:by|per|each|every|across)(?: the| our)? {_NOUN}(?:{_AND}{_NOUN})*"):
        split_by += map(_facet, re.findall(rf"\b{_NOUN}\b", found[0], re.IGNORECASE))
    return split_by


def _facet(noun: str) -> str:
    return next(name for name, facet in FACETS.items() if re.fullmatch(facet.noun, noun, re.IGNORECASE))
