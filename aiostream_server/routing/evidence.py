"""How much a question sounds like the company's data: the built-in teams' rules, as one sum of log-odds.

0 is undecided, +3 is 95 % sure of data, -3 is 95 % sure that it is not.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from aiostream_server.routing import data_signs, general_signs
from aiostream_server.routing.reading import Reading, word_set, words_of
from aiostream_server.routing.signs import Sign

_PRIOR: Final = -0.9
_MORE: Final = (1.0, 0.5, 0.3)  # a second and a third word of the same kind say less
_WITHOUT_SUBJECT: Final = 0.25  # "the highest" of nothing that a business counts
_SCHEMA_WEIGHT: Final = 1.2
_CONFIRMED_WEIGHT: Final = 0.4  # a business word that is in the real schema, too
_GROUPERS: Final = word_set("by per each every across je pro nach par por na wedlug within")
_GROUPING_WEIGHT: Final = 0.9
# Column names that are everyday words: "what is the name of ..." is no question to a database.
_EVERYDAY: Final = word_set(
    """
    id name date time type code email title description value text note key status first last address phone number
    year month day created updated at the of and in is to by from user data level count total rate language length
    """
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found in one question."""

    subjects: dict[Sign, list[str]]
    schema: list[str]
    dimensions: list[str]
    wants: list[Sign]
    narrowings: list[Sign]
    grouped_by: str
    names_a_record: bool
    general: list[Sign]

    @property
    def is_empty(self) -> bool:
        return not (
            self.subjects or self.schema or self.dimensions or self.wants or self.names_a_record or self.general
        )

    @property
    def log_odds(self) -> float:
        """For the company's data, against anything else."""
        extent = 1.0 if self._has_subject else _WITHOUT_SUBJECT
        return (
            _PRIOR
            + sum(_weight(sign.weight, words) for sign, words in self.subjects.items())
            + _weight(_SCHEMA_WEIGHT, self._only_in_schema)
            + _CONFIRMED_WEIGHT * (len(self._only_in_schema) < len(self.schema))
            + data_signs.DIMENSIONS.weight * bool(self.dimensions)
            + extent * sum(sign.weight for sign in (*self.wants, *self.narrowings))
            + _GROUPING_WEIGHT * bool(self.grouped_by)
            + data_signs.IDENTIFIER.weight * self.names_a_record
            - sum(sign.weight for sign in self.general)
        )

    @property
    def data_reason(self) -> str:
        """`asks for totals of sales by region`."""
        wanted = self.wants[0].says if self.wants else "records"
        topics = [word for word in self._topics if word != self.grouped_by and word.isalpha()]
        if not topics and not self.grouped_by and self.subjects:
            return max(self.subjects, key=lambda sign: sign.weight).says
        of = f" of {' and '.join(topics[:3])}" if topics else ""
        by = f" by {self.grouped_by}" if self.grouped_by else ""
        return f"asks for {wanted}{of}{by}"

    @property
    def general_reason(self) -> str:
        return max(self.general, key=lambda sign: sign.weight, default=general_signs.ASKING).says

    @property
    def _has_subject(self) -> bool:
        # A country or a year alone is none: both are in many schemas, and in as many questions about the world.
        return bool(self.subjects) or any(word not in self.dimensions for word in self.schema)

    @property
    def _only_in_schema(self) -> list[str]:
        known = {*self.dimensions, *(word for words in self.subjects.values() for word in words)}
        return [word for word in self.schema if word not in known]

    @property
    def _topics(self) -> list[str]:
        signs = (data_signs.RECORDS, data_signs.THINGS)
        words = [word for sign in signs for word in self.subjects.get(sign, ())]
        return list(dict.fromkeys([*words, *self._only_in_schema]))


def find_evidence(reading: Reading, vocabulary: Collection[str]) -> Evidence:
    """`vocabulary` are the table and column names of the real databases."""
    schema = reading.found(schema_words(frozenset(vocabulary)))
    dimensions = data_signs.DIMENSIONS.hits(reading)
    return Evidence(
        subjects={sign: words for sign in data_signs.SUBJECTS if (words := sign.hits(reading))},
        schema=schema,
        dimensions=dimensions,
        wants=_shown(data_signs.WANTS, reading),
        narrowings=_shown(data_signs.NARROWINGS, reading),
        grouped_by=_grouped_by(reading, {*dimensions, *schema}),
        names_a_record=bool(data_signs.IDENTIFIER.hits(reading)),
        general=_shown(general_signs.SIGNS, reading),
    )


@lru_cache(maxsize=32)
def schema_words(names: frozenset[str]) -> frozenset[str]:
    """The telling words of table and column names: `order_items.unit_price` gives order, item, unit, price."""
    words = {word for name in names for word in words_of(name)}
    return frozenset(word for word in words - _EVERYDAY if len(word) > 2)


def _shown(signs: Iterable[Sign], reading: Reading) -> list[Sign]:
    return [sign for sign in signs if sign.hits(reading)]


def _weight(weight: float, found: Sequence[str]) -> float:
    return weight * sum(_MORE[: len(found)])


def _grouped_by(reading: Reading, groups: Collection[str]) -> str:
    words = [word.strip("?.,!;:") for word in reading.text.split()]
    return next((group for word, group in pairwise(words) if word in _GROUPERS and group in groups), "")
