"""Splits names (`salesOrderLine`, `SALES_ORDER_LINE`) and questions into words that compare equal.

Words are in lower case and without accents. A word with an umlaut is written twice, `verkaeufe` and `verkaufe`: schemas
use both. The full-text index stems them, so plurals stay here.
"""

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

_WORDS: Final = re.compile(r"\w+")
_SEAMS: Final = re.compile(  # orderLine, XMLFile, order_line, order2
    r"_+|(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)
_UMLAUTS: Final = str.maketrans(
    {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "æ": "ae", "ø": "oe", "å": "aa", "œ": "oe"}
)
_SHORTEST_STEM: Final = 4
_SHORTEST_ROOT: Final = 3
_ENDINGS: Final = ("ungen", "ung", "ern", "en", "er", "es", "em", "e", "n", "s")


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NOISE: Final = word_set(
    """
    a about above across after again all also am among an and any are as ask at be because been before being
    below between both but by can could did do does doing down during each either every few for from further get
    give had has have having he her here hers him his how i if in into is it its just know let like list made
    make many may me mean more most much must my need no nor not now of off on once one only or other our out
    over own per please same see she should show so some such tell than that the their them then there these
    they this those through to too under until up us use used uses using very want was we were what when where
    whether which while who whom whose why will with within without would you your yet aber alle allen aller als
    am an auch auf aus bei beim bin bis bitte da damit das dass dem den denn der des dessen die dies diese
    diesem diesen dieser dieses doch dort du durch ein eine einem einen einer eines er es fuer gab gib gibt hab
    habe haben hat hatte hatten ich ihr ihre im in ins ist ja je jede jeden jeder jedes kann kein keine koennen
    mein mich mir mit nach nicht noch nur oder ohne pro sich sie sind so ueber um und uns unser unsere unseren
    unserer unter vom von vor war waren was welche welchem welchen welcher welches wenn wer werden wie wieviel
    wieviele wird wir wo wurde wurden zeig zeige zu zum zur zwischen
    """
)

_GENERIC: Final = word_set(
    """
    amount average avg best biggest common count current currently date day days different first fewest frequent
    frequently half highest hour hours largest last latest least long longest lowest main maximum mean median
    minimum minute month monthly months name names new newest next number oldest overall past percent percentage
    period previous quarter quarters rank ranking rate ratio second share smallest sum ten time times today top
    total totals trend two value values week weekly weeks year yearly years yesterday anteil anzahl datum
    durchschnitt durchschnittlich ersten hoechsten jahr jahre jahren letzte letzten letzter letztes meisten
    monat monate monaten monatlich namen neuesten quartal summe tag tage tagen wert werte woche wochen zahl zeit
    """
)

_NAMING: Final = word_set(
    """
    name names title label text description descr desc bezeichnung subject login username number
    """
)


def folded(text: str) -> tuple[str, ...]:
    """The word in lower case without accents; with an umlaut, both ways to write it."""
    lower = unicodedata.normalize("NFC", text).lower()
    written = (lower.translate(_UMLAUTS), lower.replace("ß", "ss"))
    return tuple(dict.fromkeys(filter(None, map(_bare, written))))


def _bare(text: str) -> str:
    if text.isascii():
        return text
    return "".join(each for each in unicodedata.normalize("NFKD", text) if not unicodedata.combining(each)).lower()


def split_name(name: str) -> Iterator[str]:
    """The words of a name or of a comment, umlauts written both ways."""
    for part in _WORDS.findall(name):
        for piece in _pieces(part):
            yield from folded(piece)


def question_words(text: str) -> list[str]:
    """Each word that can name something, once, with its umlauts. `order_id` is order and id."""
    found = (piece for part in _WORDS.findall(text) for piece in _pieces(part))
    return list(dict.fromkeys(word for word in found if not _is_noise(word)))


def _pieces(part: str) -> Iterator[str]:
    pieces = [piece for piece in _SEAMS.split(unicodedata.normalize("NFC", part)) if piece]
    yield from (piece.lower() for piece in pieces)
    if len(pieces) > 1 and "_" not in part:  # the whole of eCommerce, T001
        yield part.lower()


def is_name(column: str) -> bool:
    """Whether a column of this name says what a row is called."""
    return not _NAMING.isdisjoint(split_name(column))


def is_generic(word: str) -> bool:
    """Whether it says how to count or when, rather than what."""
    return any(each in _GENERIC for each in folded(word))


def _is_noise(word: str) -> bool:
    return word.isdigit() or len(word) == 1 or any(each in _NOISE for each in folded(word))


def stems(word: str) -> Iterator[str]:
    """The word without the endings of German and Dutch plurals and cases, at least four letters: `auftrag`."""
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            yield word.removesuffix(ending)


def root(word: str) -> str:
    """The word without the endings of English and German plurals. Only to compare with another root."""
    if word.endswith("ies"):
        word = f"{word[:-3]}y"
    elif word.endswith(("sses", "xes", "ches", "shes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    bare = word.removesuffix("en").removesuffix("e")
    return bare if len(bare) >= _SHORTEST_ROOT else word
