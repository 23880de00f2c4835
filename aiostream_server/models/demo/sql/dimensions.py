"""What a question wants its numbers split by: "by region", "per month", "which customer", "top 5 products"."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.sql.names import Meant, TimeUnit, find_table, is_vague, label_of, noun_at
from aiostream_server.models.demo.sql.schema_text import Column, Schema, Table
from aiostream_server.models.demo.sql.words import Words, name_parts
from aiostream_server.models.demo.word_list import word_list

_LEADS: Final = frozenset(word_list("by per each every which what across"))
_RANKS: Final = frozenset(
    word_list("top best worst bottom highest lowest most least biggest largest smallest strongest weakest leading")
)
_RANK_WORDS: Final = frozenset(word_list("selling performing popular valuable active profitable earning important"))
_ADVERBS: Final[dict[str, TimeUnit]] = {
    "daily": "day",
    "weekly": "week",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
    "annual": "year",
    "annually": "year",
    "trend": "month",
}


@dataclass(frozen=True, slots=True)
class Dimension:
    """Either a column (with the key of its table, where it names rows of that table), or a unit of time."""

    alias: str
    column: Column | None = None
    key: Column | None = None
    unit: TimeUnit | None = None


def find_dimensions(words: Words, schema: Schema) -> list[Dimension]:
    """Every dimension once, in the question's order."""
    dimensions: list[Dimension] = []
    for meant in [*_meant(words, schema), *_implied(words, schema)]:
        dimension = dimension_of(meant)
        if dimension and dimension not in dimensions:
            dimensions.append(dimension)
    return dimensions


def dimension_phrases(words: Words, schema: Schema) -> list[tuple[int, int]]:
    """The words that say what to split by, from one word up to and without another: "by region", "which customer".

    Of a ranking ("top 5 products") it is the noun.
    """
    found: list[tuple[int, int]] = []
    for i, word in enumerate(words.at):
        start = _behind_rank(words, i + 1) if word in _RANKS else i + 1
        is_phrase = word in _LEADS or (word in _RANKS and (word not in ("most", "least") or start > i + 1))
        if word in _ADVERBS:
            found.append((i, i + 1))
        elif is_phrase and (end := _end_of_list(words, schema, start)) > start:
            found.append((i if word in _LEADS else start, end))
    return found


def dimension_of(meant: Meant | None) -> Dimension | None:
    """Tables are shown by their label; columns of numbers split nothing."""
    if isinstance(meant, Table):
        label = label_of(meant)
        alias = "_".join(name_parts(meant.name))
        return Dimension(alias, label, None if label is meant.key else meant.key) if label else None
    if isinstance(meant, Column):
        return None if meant.is_number or meant.is_date else Dimension(_alias(meant), meant)
    return Dimension(meant, unit=meant) if meant else None


def _alias(column: Column) -> str:
    return "_".join(name_parts(column.table)) if is_vague(column) else column.name


def _meant(words: Words, schema: Schema) -> Iterator[Meant]:
    for i, word in enumerate(words.at):
        if word in _LEADS:
            yield from _listed(words, schema, i + 1)
        elif word in _RANKS:
            start = _behind_rank(words, i + 1)
            # "the most orders" is a number of orders; "the most active customers" is a ranking, as "top customers" is.
            if word not in ("most", "least") or start > i + 1:
                yield from _listed(words, schema, start)


def _listed(words: Words, schema: Schema, position: int) -> Iterator[Meant]:
    """ "region and month": as long as nouns follow each other."""
    while noun := noun_at(words, schema, position):
        yield noun.meant
        if words.at[noun.end : noun.end + 1] != ("and",):
            return
        position = noun.end + 1


def _end_of_list(words: Words, schema: Schema, position: int) -> int:
    """Behind the last of the nouns that follow each other; where it began if there is none."""
    while noun := noun_at(words, schema, position):
        if words.at[noun.end : noun.end + 1] != ("and",) or noun_at(words, schema, noun.end + 1) is None:
            return noun.end
        position = noun.end + 1
    return position


def _behind_rank(words: Words, position: int) -> int:
    while position < len(words.at) and (words.at[position].isdigit() or words.at[position] in _RANK_WORDS):
        position += 1
    return position


def _implied(words: Words, schema: Schema) -> Iterator[Meant | None]:
    """Dimensions that are meant without a word for them."""
    yield from (_ADVERBS[word] for word in words.at if word in _ADVERBS)
    if words.has(r"over time"):
        yield "month"
    if words.has(r"best[- ]?sellers?|top[- ]?sellers?"):
        yield find_table(schema, ("product", "item", "article"))
    if "who" in words.at:
        seller = words.has(r"who (?:sold|sells|closed)")
        yield find_table(schema, ("employee", "seller") if seller else ("customer", "client", "user"))
