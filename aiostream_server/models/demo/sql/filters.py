"""Conditions that a question puts on rows: values that the schema gives as samples, named things, numbers, dates."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.sql.dates import MONTHS
from aiostream_server.models.demo.sql.names import find_table, label_of, mention_at, mentioned_numbers
from aiostream_server.models.demo.sql.schema_text import Column, Schema, Table
from aiostream_server.models.demo.sql.words import Words, name_parts, read_words
from aiostream_server.models.demo.word_list import word_list

_MORE: Final = r"more than|over|above|greater than|higher than|exceeding|costing more than"
_LESS: Final = r"less than|fewer than|under|below|lower than|cheaper than"
_COMPARISON: Final = re.compile(
    rf"\b(?:(?P<more>{_MORE})|(?P<less>{_LESS})|(?P<least>at least)|(?P<most>at most|up to))\s+"
    r"[$€£]?(?P<number>\d+(?:[.,]\d+)*)(?P<rest>[^.?!]*)"
)
_PROPER: Final = r"((?:[A-Z][\w&'-]*)(?: (?:[A-Z][\w&'-]*|of|and|&))*)"
_NAME_INSIDE: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}\b")
_FULL_NAME: Final = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+ [A-Z][a-z]+\b")
_TOO_COMMON: Final = frozenset(
    word_list("a an the all and by for in is it no not of on or per the to top total which yes")
)


@dataclass(frozen=True, slots=True)
class Filter:
    """A condition on one table, in SQL, and the column and values it is about."""

    column: Column
    condition: str
    values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """ "more than 5 orders": the operator, the number, and the words behind it."""

    operator: str
    number: str
    rest: Words


def find_filters(question: str, words: Words, schema: Schema) -> list[Filter]:
    """Filters by value: sampled values first, then names in capitals beside a table's or column's word."""
    found = list(_sampled(words, schema))
    seen = {value.casefold() for one in found for value in one.values}
    guessed = [*_named(question, words, schema), *_person(question, schema)]
    named = (one for one in guessed if seen.isdisjoint(v.casefold() for v in one.values))
    taken = {(one.column.table, one.column.name) for one in found}
    return found + [one for one in named if (one.column.table, one.column.name) not in taken][:1]


def find_comparison(words: Words) -> Comparison | None:
    """The first comparison with a number, years apart ("over 2024" is a time)."""
    found = _COMPARISON.search(words.text)
    if not found:
        return None
    operator = next(sign for name, sign in _SIGNS.items() if found[name])
    return Comparison(operator, re.sub(r",(?=\d{3})", "", found["number"]).replace(",", "."), read_words(found["rest"]))


def compared_column(comparison: Comparison, words: Words, schema: Schema, table: Table) -> Column | None:
    """The column of the table that a number is compared with: a named one, or else its price or amount."""
    numbers = [column for column in table.columns if column.is_number]
    named = [*mentioned_numbers(comparison.rest, schema), *mentioned_numbers(words, schema)]
    likely = [one for one in numbers if {"price", "amount", "total", "value"} & set(name_parts(one.name))]
    return next((one for one in [*named, *likely] if one in numbers), None)


def unknown_names(question: str, filters: Sequence[Filter], schema: Schema) -> list[str]:
    """Names in the middle of a sentence that are neither values nor the schema's: a query has to leave them out."""
    known = " ".join(value for one in filters for value in one.values).casefold()
    months = frozenset(MONTHS)
    found: list[str] = []
    for name in _NAME_INSIDE.findall(question):
        is_known = name.casefold() in known or name.casefold() in months or mention_at(read_words(name), schema, 0)
        if not is_known and name not in found:
            found.append(name)
    return found


def value_condition(column: Column, values: tuple[str, ...]) -> str:
    """`column = 'a'`, or `column IN ('a', 'b')`."""
    literals = ["'" + value.replace("'", "''") + "'" for value in values]
    return f"{column.sql} = {literals[0]}" if len(literals) == 1 else f"{column.sql} IN ({', '.join(literals)})"


_SIGNS: Final = {"more": ">", "less": "<", "least": ">=", "most": "<="}


def _sampled(words: Words, schema: Schema) -> Iterator[Filter]:
    matches = [(column, value) for column in schema.columns for value in column.samples if _is_said(value, words)]
    said = {value.casefold() for _, value in matches}
    taken = set[str]()
    for column in sorted({id(column): column for column, _ in matches}.values(), key=lambda c: not _is_named(c, words)):
        values = tuple(
            value
            for of, value in matches
            if of is column
            and value.casefold() not in taken
            and not any(value.casefold() in longer and value.casefold() != longer for longer in said)
        )
        if values:
            taken |= {value.casefold() for value in values}
            yield Filter(column, value_condition(column, values), values)


def _is_said(value: str, words: Words) -> bool:
    plain = value.casefold()
    if len(plain) < 2 or plain in _TOO_COMMON or not re.search(r"[^\W\d]", plain):
        return False
    return bool(re.search(rf"(?<!\w){re.escape(plain)}(?:s|es)?(?!\w)", words.text))


def _is_named(column: Column, words: Words) -> bool:
    """Whether the question has a word for the column or its table: "the West region"."""
    return any(words.find(name_parts(name)) is not None for name in (column.table, column.name))


def _named(question: str, words: Words, schema: Schema) -> Iterator[Filter]:
    """ "in the Westmark region" and "customer Ada Smith", for values that the schema does not show."""
    for i, word in enumerate(words.at):
        mention = mention_at(words, schema, i)
        column = _labelled(mention.meant) if mention else None
        if column is None or not column.is_text:
            continue
        noun = re.escape(word)
        for pattern in (rf"\b(?:in|from|for|of|by) (?:the )?{_PROPER} (?i:{noun})", rf"\b(?i:{noun})s? {_PROPER}"):
            if found := re.search(pattern, question):
                yield Filter(column, value_condition(column, (found[1],)), (found[1],))


def _person(question: str, schema: Schema) -> Iterator[Filter]:
    """ "How many orders did Ada Smith place?"."""
    table = find_table(schema, ("customer", "client", "employee", "person", "user"))
    column = label_of(table) if table else None
    if column and (found := _FULL_NAME.search(question)) and not mention_at(read_words(found[0]), schema, 0):
        yield Filter(column, value_condition(column, (found[0],)), (found[0],))


def _labelled(meant: object) -> Column | None:
    if isinstance(meant, Table):
        return label_of(meant)
    return meant if isinstance(meant, Column) else None
