"""A question as words to match against names: singular, lower case, each with its synonyms."""

import re
from dataclasses import dataclass
from typing import Final

from aiostream_server.models.demo.word_list import word_list

_SYNONYMS: Final = tuple(
    frozenset(word_list(words))
    for words in (
        "customer client buyer shopper",
        "product item article good",
        "order purchase invoice",
        "region area territory",
        "employee worker staff seller",
        "store shop branch",
        "category type kind",
        "country nation",
        "city town",
        "price cost",
        "supplier vendor",
    )
)
_MOST_WORDS: Final = 120
_WORD: Final = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")


@dataclass(frozen=True, slots=True)
class Words:
    """`at[i]` is the i-th word and `meanings[i]` the ways to read it."""

    text: str
    at: tuple[str, ...]
    meanings: tuple[frozenset[str], ...]
    all_meanings: frozenset[str]

    def matches(self, parts: tuple[str, ...], position: int) -> bool:
        """Whether the words from `position` on are these parts of a name."""
        found = self.meanings[position : position + len(parts)]
        return len(found) == len(parts) > 0 and all(
            part in meanings for part, meanings in zip(parts, found, strict=True)
        )

    def find(self, parts: tuple[str, ...]) -> int | None:
        """Where a name is first mentioned."""
        if not self.all_meanings.issuperset(parts):
            return None
        return next((i for i in range(len(self.at)) if self.matches(parts, i)), None)

    def has(self, pattern: str) -> bool:
        """Whether the text, in lower case, holds this pattern at the beginning of a word and up to the end of one."""
        return bool(re.search(rf"\b(?:{pattern})\b", self.text))


def read_words(question: str) -> Words:
    text = question.casefold().replace("’", "'")
    at = tuple(re.sub(r"'s$", "", word) for word in _WORD.findall(text)[:_MOST_WORDS])
    meanings = tuple(_meanings(word) for word in at)
    return Words(text, at, meanings, frozenset().union(*meanings))


def word_spans(question: str) -> list[tuple[int, int]]:
    """Where each of `read_words(question).at` begins and ends in the question."""
    return [found.span() for found in _WORD.finditer(question)][:_MOST_WORDS]


def name_parts(name: str) -> tuple[str, ...]:
    """ "order_items" and "OrderItems" are order and item."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return tuple(singular(word) for word in re.split(r"[\W_]+", spaced.lower()) if word)


def singular(word: str) -> str:
    """Good enough to match a question's word with a name: both go through it."""
    if len(word) > 4 and word.endswith("ies"):
        return f"{word[:-3]}y"
    if len(word) > 4 and word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word


def _meanings(word: str) -> frozenset[str]:
    one = singular(word)
    return frozenset({word, one}).union(*(synonyms for synonyms in _SYNONYMS if one in synonyms))
