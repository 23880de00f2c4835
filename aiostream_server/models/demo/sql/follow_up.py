"""A question that builds on earlier ones ("And by month?", "Only 2024"), in full: what it leaves out is taken over.

A split, a time, a value or a ranking that it names takes the place of the earlier one. Where it asks for a number of
its own ("And how many orders?"), only the earlier splits, times and values are taken over.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final

from aiostream_server.models.demo.sql.dates import period_phrase
from aiostream_server.models.demo.sql.dimensions import dimension_of, dimension_phrases, find_dimensions
from aiostream_server.models.demo.sql.draft import draft
from aiostream_server.models.demo.sql.filters import Filter, find_filters
from aiostream_server.models.demo.sql.measures import find_measure, is_ranked_high
from aiostream_server.models.demo.sql.names import label_of, noun_at
from aiostream_server.models.demo.sql.schema_text import Schema, Table
from aiostream_server.models.demo.sql.words import read_words, word_spans

_MOST_EARLIER: Final = 12
_GOES_ON: Final = re.compile(
    r"\W*(?:(?:and|or|but|now|then|also|only|just|please|instead|ok|okay|what about|how about|(?:the )?same"
    r"|(?:can you |could you )?(?:now )?(?:show|give|break|split|group|list|do|make|compare)"
    r"(?: me)? (?:it|that|this|them|those|these|the same)(?: up| down| out)?)\b[\s,:]*)+",
    re.IGNORECASE,
)
_FRAGMENT: Final = re.compile(
    r"\W*(?:by|per|in|for|during|since|before|after|until|from|between|of|top \d+|bottom \d+|(?:19|20)\d\d)\b",
    re.IGNORECASE,
)
_COMPLETE: Final = re.compile(r"\b(?:there (?:is|are|were)|(?:is|are|were) there|in total|overall|altogether)\b")
_YEAR: Final = re.compile(r"\b(?:19|20)\d\d\b")
_RANKS: Final = re.compile(
    r"\b(?:(?:top|bottom|best|worst|first|last)\s+\d{1,3}|highest|lowest|most|least|fewest|best|worst|largest|biggest"
    r"|smallest|strongest|weakest|top|bottom)\b",
    re.IGNORECASE,
)


def in_full(question: str, earlier: Sequence[str], schema: Schema) -> str:
    """The question as it stands where it does not build on another."""
    before, question = "", _spaced(question)
    for asked in map(_spaced, earlier[-_MOST_EARLIER:] if _goes_on(question, schema) else ()):
        before = _joined(before, asked, schema) or before
    return (before and _joined(before, question, schema)) or question


def _spaced(text: str) -> str:
    """Every letter is as long as in lower case: words are found in the one, and cut out of the other."""
    return "".join(one if len(one.casefold()) == 1 else one.casefold() for one in text)


def _joined(before: str, asked: str, schema: Schema) -> str:
    """What was asked, in full; empty where it was no question about data."""
    if before and _goes_on(asked, schema):
        full = _merge(before, _without_lead(asked), schema)
        return full if draft(full, schema) else ""
    return asked if draft(asked, schema) else ""


def _goes_on(question: str, schema: Schema) -> bool:
    if _GOES_ON.match(question):
        return True
    return bool(_FRAGMENT.match(question)) and find_measure(read_words(question), schema, ()) is None


def _without_lead(question: str) -> str:
    """A bare year becomes "in 2024", which stays one when other words follow."""
    rest = _GOES_ON.sub("", question, count=1).strip(" ?!.,")
    is_bare = period_phrase(rest.casefold()).isdecimal() or not period_phrase(rest.casefold())
    return _YEAR.sub(r"in \g<0>", rest, count=1) if is_bare else rest


def _merge(before: str, rest: str, schema: Schema) -> str:
    before = before.strip(" ?!.,")
    rest = _as_split(rest, schema)
    words = read_words(rest)
    if find_measure(words, schema, ()) and not _only_splits(rest, schema):
        taken = "" if _COMPLETE.search(words.text) else _taken_over(before, rest, schema)
        return f"{rest} {taken}".strip()
    splits = dimension_phrases(read_words(before), schema)
    if dimension_phrases(words, schema):
        before = _cut_words(before, splits)
    elif splits and is_ranked_high(words) is not None:  # of "top 5 products" the products stay
        nouns = " and ".join(_noun(before, span) for span in splits)
        before = f"{_cut_words(before, splits)} by {nouns}"
    if period_phrase(words.text):
        before = _cut(before, period_phrase(before.casefold()))
    for value in _replaced(before, find_filters(rest, words, schema), schema):
        before = _cut(before, value)
    is_course = any(one.unit for one in find_dimensions(words, schema))  # by month: not the highest, but all of them
    if is_course or is_ranked_high(words) is not None:
        before = _RANKS.sub("", before)
    return re.sub(r"\s+", " ", f"{before} {rest}").strip()


def _as_split(rest: str, schema: Schema) -> str:
    """A bare noun ("what about customers?") is what to split by."""
    words = read_words(rest)
    noun = noun_at(words, schema, 0)
    if noun is None or noun.end != len(words.at):
        return rest
    unlabelled = isinstance(noun.meant, Table) and label_of(noun.meant) is noun.meant.key
    return rest if unlabelled or dimension_of(noun.meant) is None else f"by {rest}"


def _only_splits(rest: str, schema: Schema) -> bool:
    """ "By number of customers" would be a measure; "by customer" is none, whatever its words could count."""
    spans = dimension_phrases(read_words(rest), schema)
    return bool(spans) and find_measure(read_words(_cut_words(rest, spans)), schema, ()) is None


def _taken_over(before: str, rest: str, schema: Schema) -> str:
    words, text = read_words(before), rest.casefold()
    taken: list[str] = []
    if not dimension_phrases(read_words(rest), schema):
        taken += [f"by {_noun(before, span)}" for span in dimension_phrases(words, schema)]
    own = {(one.column.table, one.column.name) for one in find_filters(rest, read_words(rest), schema)}
    filters = [one for one in find_filters(before, words, schema) if (one.column.table, one.column.name) not in own]
    taken += [f"in {value}" for one in filters for value in one.values]
    if not period_phrase(text):
        taken.append(period_phrase(before.casefold()))
    return " ".join(taken)


def _noun(text: str, span: tuple[int, int]) -> str:
    spans = word_spans(text)
    phrase = text[spans[span[0]][0] : spans[span[1] - 1][1]]
    return re.sub(r"^(?:by|per|each|every|which|what|across)\s+", "", phrase, flags=re.IGNORECASE)


def _replaced(before: str, filters: Iterable[Filter], schema: Schema) -> list[str]:
    """The values of the earlier question in columns for which the new one has its own."""
    columns = {(one.column.table, one.column.name) for one in filters}
    said = find_filters(before, read_words(before), schema) if columns else []
    return [value for one in said if (one.column.table, one.column.name) in columns for value in one.values]


def _cut(text: str, phrase: str) -> str:
    return re.sub(rf"(?i)(?:\bin (?:the )?)?{re.escape(phrase)}", "", text, count=1) if phrase else text


def _cut_words(text: str, phrases: Sequence[tuple[int, int]]) -> str:
    spans = word_spans(text)
    for start, end in reversed(phrases):
        text = text[: spans[start][0]] + text[spans[end - 1][1] :]
    return text
