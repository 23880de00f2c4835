"""Cues in a question: words and phrases that speak for one kind of team.

`NormalisedText` is a question as the rules read it. The lexicons (`data_cues`, `general_cues`) are tables of cues, and
`evidence` adds up their weights. Cues are written in normalised form (lower case, no accents) and, except irregular
forms, in the singular.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from aiostream_server.text import shortened

_READ_CHARS: Final = 1200
_QUOTED: Final = re.compile(r"[\"“”„«»][^\"“”„«»]*[\"“”«»]|(?<!\w)['‘’][^'‘’\n]*['’](?!\w)|`[^`]*`")
# Quoted text is dropped: people quote what they want translated, explained or corrected.
_QUOTED_PLACEHOLDER: Final = " … "
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


_INTRODUCTION: Final = word_set(
    """
    please answer answers reply question questions this these the following my our boss manager colleague customer asks
    asked asking wants to know bitte beantworte antworte frage fragen diese folgende mein chef kunde fragt wissen will
    reponds mon demande responde pregunta jefe
    """
)


def singular(word: str) -> str:
    """The singular by simple English rules, good enough to compare `categories` with `category`."""
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
class NormalisedText:
    """A question for the rules: lower case, no accents, limited length, single spaces, nothing quoted.

    Of a question that is a quotation, alone or introduced ("My boss asks:"), what stands inside is read.
    """

    text: str

    @classmethod
    def of(cls, question: str) -> "NormalisedText":
        read = _COUNTRY.sub("usa", shortened(question, _READ_CHARS))
        text = normalise(read)
        outside = _QUOTED.sub(_QUOTED_PLACEHOLDER, text)
        quoted = _QUOTED.findall(text)
        if quoted and _INTRODUCTION.issuperset(_WORD.findall(outside)):
            outside = " ".join(part[1:-1] for part in quoted)
        plain = _IDIOMS.sub(" ", outside)
        return cls(" ".join(plain.split()).lstrip("¿¡-*>#. "))

    @cached_property
    def forms(self) -> dict[str, str]:
        """Each word and its singular, mapped to the word as it was written."""
        forms: dict[str, str] = {}
        for word in _WORD.findall(self.text):
            forms.setdefault(word, word)
            forms.setdefault(singular(word), word)
        return forms

    def found(self, words: Collection[str], stems: tuple[str, ...] = ()) -> list[str]:
        """The words that are in `words` or begin with one of `stems`, each once, in order."""
        hits = (word for form, word in self.forms.items() if form in words or form.startswith(stems))
        return list(dict.fromkeys(hits))


@dataclass(frozen=True, slots=True, eq=False)
class Cue:
    """`weight` is in log-odds; `reason` tells people what was found."""

    weight: float
    reason: str
    words: frozenset[str]
    stems: tuple[str, ...]
    phrase: re.Pattern[str] | None

    def hits(self, question: NormalisedText) -> list[str]:
        """The words that were found, as they were written; a phrase counts once."""
        found = question.found(self.words, self.stems)
        match = self.phrase.search(question.text) if self.phrase else None
        return [*found, match.group()] if match else found


def cue(
    weight: float,
    reason: str,
    *,
    words: str = "",
    stems: str = "",
    phrases: str = "",
    after: str = "",
    pattern: str = "",
) -> Cue:
    """Make a cue.

    `words` and `stems` (beginnings of words, for inflected languages) are separated by spaces. `phrases` holds one
    regular expression a line, which matches whole words, and only behind a match of `after`. `pattern` is a regular
    expression that matches anywhere.
    """
    lines = [line.strip() for line in phrases.splitlines() if line.strip()]
    alternatives = ([rf"{after}\b(?:{'|'.join(lines)})\b"] if lines else []) + ([pattern] if pattern else [])
    return Cue(
        weight=weight,
        reason=reason,
        words=word_set(words),
        stems=tuple(stems.split()),
        phrase=re.compile("|".join(alternatives)) if alternatives else None,
    )
