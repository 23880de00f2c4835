"""How likely a question is about the company's data: a sum of log-odds over the cues in it.

0 is undecided, +3 is 95 % sure that it is about data, -3 is 95 % sure that it is not.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final

from aiostream_server.routing import data_cues, general_cues
from aiostream_server.routing.cues import Cue, NormalisedText, word_set, words_of

_PRIOR: Final = -0.9
_REPEATED: Final = (1.0, 0.5, 0.3)  # factors of the first, second and third word of one cue
_WITHOUT_SUBJECT: Final = 0.25  # factor of "the highest" and the like in a question without a subject
_SCHEMA_WEIGHT: Final = 1.2
_CONFIRMED_WEIGHT: Final = 0.4  # for a business word that is also in the database schema
_GROUPERS: Final = word_set("by per each every across je pro nach par por na wedlug within")
_GROUPING_WEIGHT: Final = 0.9
# Column names that are everyday words: "what is the name of ..." rarely asks a database.
_EVERYDAY: Final = word_set(
    """
    id name date time type code email title description value text note key status first last address phone number
    year month day created updated at the of and in is to by from user data level count total rate language length
    """
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """The cues that were found in one question."""

    subjects: dict[Cue, list[str]]
    schema: list[str]
    dimensions: list[str]
    wants: list[Cue]
    narrowings: list[Cue]
    grouped_by: str
    names_a_record: bool
    general: list[Cue]

    @property
    def is_empty(self) -> bool:
        return not (
            self.subjects or self.schema or self.dimensions or self.wants or self.names_a_record or self.general
        )

    @property
    def log_odds(self) -> float:
        """Of a question about the company's data against any other question."""
        extent = 1.0 if self._has_subject else _WITHOUT_SUBJECT
        return (
            _PRIOR
            + sum(_weight(cue.weight, words) for cue, words in self.subjects.items())
            + _weight(_SCHEMA_WEIGHT, self._only_in_schema)
            + _CONFIRMED_WEIGHT * (len(self._only_in_schema) < len(self.schema))
            + data_cues.DIMENSIONS.weight * bool(self.dimensions)
            + extent * sum(cue.weight for cue in (*self.wants, *self.narrowings))
            + _GROUPING_WEIGHT * bool(self.grouped_by)
            + data_cues.IDENTIFIER.weight * self.names_a_record
            - sum(cue.weight for cue in self.general)
        )

    @property
    def data_reason(self) -> str:
        """`asks for totals of sales by region`."""
        wanted = self.wants[0].reason if self.wants else "records"
        topics = [word for word in self._topics if word != self.grouped_by and word.isalpha()]
        if not topics and not self.grouped_by and self.subjects:
            return max(self.subjects, key=lambda cue: cue.weight).reason
        of = f" of {' and '.join(topics[:3])}" if topics else ""
        by = f" by {self.grouped_by}" if self.grouped_by else ""
        return f"asks for {wanted}{of}{by}"

    @property
    def general_reason(self) -> str:
        return max(self.general, key=lambda cue: cue.weight, default=general_cues.ASKING).reason

    @property
    def _has_subject(self) -> bool:
        # A country or a year alone is no subject: both occur in many schemas, and in many general questions.
        return bool(self.subjects) or any(word not in self.dimensions for word in self.schema)

    @property
    def _only_in_schema(self) -> list[str]:
        known = {*self.dimensions, *(word for words in self.subjects.values() for word in words)}
        return [word for word in self.schema if word not in known]

    @property
    def _topics(self) -> list[str]:
        cues = (data_cues.RECORDS, data_cues.THINGS)
        words = [word for cue in cues for word in self.subjects.get(cue, ())]
        return list(dict.fromkeys([*words, *self._only_in_schema]))


def find_evidence(question: NormalisedText, vocabulary: Collection[str]) -> Evidence:
    """`vocabulary` holds the table and column names of the configured databases."""
    schema = question.found(schema_words(frozenset(vocabulary)))
    dimensions = data_cues.DIMENSIONS.hits(question)
    return Evidence(
        subjects={cue: words for cue in data_cues.SUBJECTS if (words := cue.hits(question))},
        schema=schema,
        dimensions=dimensions,
        wants=_found(data_cues.WANTS, question),
        narrowings=_found(data_cues.NARROWINGS, question),
        grouped_by=_grouped_by(question, {*dimensions, *schema}),
        names_a_record=bool(data_cues.IDENTIFIER.hits(question)),
        general=_found(general_cues.CUES, question),
    )


@lru_cache(maxsize=32)
def schema_words(names: frozenset[str]) -> frozenset[str]:
    """The words of table and column names: `order_items.unit_price` gives order, item, unit, price."""
    words = {word for name in names for word in words_of(name)}
    return frozenset(word for word in words - _EVERYDAY if len(word) > 2)


def _found(cues: Iterable[Cue], question: NormalisedText) -> list[Cue]:
    return [cue for cue in cues if cue.hits(question)]


def _weight(weight: float, found: Sequence[str]) -> float:
    return weight * sum(_REPEATED[: len(found)])


def _grouped_by(question: NormalisedText, groups: Collection[str]) -> str:
    words = [word.strip("?.,!;:") for word in question.text.split()]
    return next((group for word, group in pairwise(words) if word in _GROUPERS and group in groups), "")
