"""A text as the rules see it: lower case, no accents, capped, its words with their singular forms.

What stands in quotation marks is dropped: people quote what they want translated, explained or corrected, and it says
nothing about who should do that.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from aiostream_server.routing.question import shortened

_READ_CHARS: Final = 1200
_QUOTED: Final = re.compile(r"[\"“”„«»][^\"“”„«»]*[\"“”«»]|(?<!\w)['‘’][^'‘’\n]*['’](?!\w)|`[^`]*`")
_COUNTRY: Final = re.compile(r"\bU\.?S\.?A?\b")  # "US sales" is not "us"
_WORD: Final = re.compile(r"[^\W_]+")
_UNDECOMPOSED: Final = str.maketrans({"ł": "l", "ø": "o", "đ": "d", "æ": "ae", "œ": "oe", "’": "'"})
_IDIOMS: Final = re.compile(r"\b(?:in|out of|what) order\b|\bof course\b|\bat (?:most|least)\b")


def normalise(text: str) -> str:
    """Lower case without accents: `Umsätze` and `umsatze` are one word."""
    folded = text.casefold().translate(_UNDECOMPOSED)
    if folded.isascii():
        return folded
    return "".join(char for char in unicodedata.normalize("NFD", folded) if not unicodedata.combining(char))


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


def singular(word: str) -> str:
    """A guess that is good enough to compare words by: `categories` and `category` meet."""
    if len(word) < 4 or not word.endswith("s") or word.endswith(("ss", "us", "is")):
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("xes", "ches", "shes", "sses")):
        return word[:-2]
    return word[:-1]


def words_of(text: str) -> Iterator[str]:
    """Normalised words in their singular, in order."""
    return (singular(word) for word in _WORD.findall(normalise(text)))


@dataclass(frozen=True)
class Reading:
    """`text` is normalised and single-spaced; `forms` maps each word and its singular to the word as it was written."""

    text: str

    @classmethod
    def of(cls, question: str) -> "Reading":
        read = _COUNTRY.sub("usa", shortened(question, _READ_CHARS))
        plain = _IDIOMS.sub(" ", _QUOTED.sub(" … ", normalise(read)))
        return cls(" ".join(plain.split()).lstrip("¿¡-*>#. "))

    @cached_property
    def forms(self) -> dict[str, str]:
        forms: dict[str, str] = {}
        for word in _WORD.findall(self.text):
            forms.setdefault(word, word)
            forms.setdefault(singular(word), word)
        return forms

    def found(self, words: Collection[str], stems: tuple[str, ...] = ()) -> list[str]:
        """The question's words that are among `words` or begin with one of `stems`, each once, in order."""
        hits = (word for form, word in self.forms.items() if form in words or form.startswith(stems))
        return list(dict.fromkeys(hits))
