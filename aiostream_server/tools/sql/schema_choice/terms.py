"""The words of a schema that a word of a question may mean: another form, a part of a compound, a synonym."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aiostream_server.tools.sql.schema_choice.synonyms import SHORT_FORMS, SYNONYMS
from aiostream_server.tools.sql.schema_choice.words import folded, stems

_ALIKE: Final = 0.8
_PART: Final = 0.6
_SYNONYM: Final = 0.5
_SHORTENED: Final = 0.4
_SHORTEST_PART: Final = 4
_SHORTEST_ABBREVIATION: Final = 3
_LONGEST_ABBREVIATION: Final = 5
_VOWELS: Final = re.compile(r"(?<!^)[aeiouy]")


@dataclass(frozen=True, slots=True)
class Term:
    """One word of a question, and for each way to mean it how sure that is (up to 1), and the schema's words."""

    word: str
    weight: float
    meanings: tuple[tuple[float, frozenset[str]], ...]


class Vocabulary:
    """All words of one schema."""

    def __init__(self, words: Collection[str]) -> None:
        self._words: Final = sorted(words)
        self._known: Final = frozenset(words)

    def term(self, word: str, weight: float = 1.0) -> Term:
        """The word as a term of the index, which itself stems English."""
        forms = frozenset(folded(word))
        roots = frozenset(root for form in forms for root in (form, *stems(form), *_singular(form)))
        meanings: Mapping[float, frozenset[str]] = {
            1.0: forms,
            _ALIKE: frozenset(each for each in roots if each in self._known) - forms,
            _PART: frozenset(self._parts(roots)) - forms,
            _SYNONYM: frozenset(each for root in roots for each in SYNONYMS.get(root, ())) - forms,
            _SHORTENED: frozenset((*self._short_forms(roots), *_synonyms_of_parts(roots))) - forms,
        }
        return Term(word, weight, tuple((sure, words) for sure, words in meanings.items() if words))

    def _parts(self, roots: Collection[str]) -> Iterator[str]:
        """Compounds in which it is (`lieferschein`), and the parts of a compound."""
        long = [root for root in roots if len(root) >= _SHORTEST_PART]
        for word in self._words:
            is_long = len(word) >= _SHORTEST_PART
            if any(
                root in word or (is_long and root.startswith(word)) or (is_long and root.endswith(word))
                for root in long
            ):
                yield word

    def _short_forms(self, roots: Collection[str]) -> Iterator[str]:
        """`cust` and `cstmr` for customer; and the words that are known to be written short."""
        for root in roots:
            yield from SHORT_FORMS.get(root, ())
        for word in self._words:
            if _SHORTEST_ABBREVIATION <= len(word) <= _LONGEST_ABBREVIATION and any(
                len(root) > len(word) + 1 and (root.startswith(word) or _VOWELS.sub("", root) == word) for root in roots
            ):
                yield word


def _synonyms_of_parts(roots: Collection[str]) -> Iterator[str]:
    """`customer` and `number` for Kundennummer."""
    long = [root for root in roots if len(root) > 2 * _SHORTEST_PART]
    for part, others in SYNONYMS.items():
        if len(part) >= _SHORTEST_PART and any(root.startswith(part) or root.endswith(part) for root in long):
            yield from others


def _singular(word: str) -> Iterator[str]:
    if word.endswith("ies") and len(word) > _SHORTEST_PART:
        yield f"{word[:-3]}y"
