"""Estimates how many tokens a text of names, types and comments costs a language model.

Vocabularies differ, and none is shipped here. The estimate follows how byte-pair vocabularies cut text: a word in lower
case with the separator before it is one token for every seven letters; capitals, digits and other scripts cost more.
"""

import re
from functools import lru_cache
from typing import Final

from aiostream_server.tools.sql.schema_choice.words import word_set

_PIECES: Final = re.compile(r"[a-z]+|[A-Z][a-z]+|[A-Z]+|\d+|[^\W\d_A-Za-z]+|[ \t]+|_+|\n|[^\w\s]+")
_VOWELS: Final = re.compile("[aeiouy]", re.IGNORECASE)
_FEWEST_VOWELS: Final = 0.25
_KEYWORDS: Final = word_set(
    """
    ARRAY BIGINT BOOLEAN BYTEA CHAR CREATE DATE DECIMAL DOUBLE INTEGER INTERVAL JSON JSONB KEY NOT NULL NUMERIC
    PRECISION PRIMARY REAL REFERENCES SMALLINT TABLE TEXT TIME TIMESTAMP TIMESTAMPTZ UUID VARCHAR VIEW
    """
)


def estimated_tokens(text: str) -> int:
    """An estimate: for the schemas of the tests up to 10 % above the count of GPT-4's vocabulary."""
    return sum(map(_cost, _PIECES.findall(text)))


@lru_cache(maxsize=8192)  # the words of a schema repeat in all of its tables
def _cost(piece: str) -> int:
    first = piece[0]
    if first in " \t_":  # goes with the word behind it
        return 0
    if not first.isascii():
        return len(piece)
    if first.isdigit() or not first.isalpha():
        return (len(piece) + 2) // 3
    if piece in _KEYWORDS or len(piece) == 1:
        return 1
    if piece.isupper():
        return (len(piece) + 1) // 2
    if len(_VOWELS.findall(piece)) < _FEWEST_VOWELS * len(piece):  # kunnr, mtart
        return (len(piece) + 1) // 2
    return (len(piece) + 6) // 7
