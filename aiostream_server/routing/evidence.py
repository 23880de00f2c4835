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
    """The cues that were found in one question, with their words, and the words that are in the database schema."""

    found: dict[Cue, list[str]]
    schema: list[str]
    grouped_by: str

    @property
    def is_empty(self) -> bool:
        return not self.schema and all(cue in data_cues.NARROWINGS for cue in self.found)

    @property
    def general(self) -> list[Cue]:
        return self._found(general_cues.CUES)

    @property
    def log_odds(self) -> float:
        """The log-odds that the question is about the company's data."""
        extent = 1.0 if self._has_subject else _WITHOUT_SUBJECT
        return (
            _PRIOR
            + sum(_weight(cue.weight, self.found[cue]) for cue in self._found(data_cues.SUBJECTS))
            + _weight(_SCHEMA_WEIGHT, self._only_in_schema)
            + _CONFIRMED_WEIGHT * (len(self._only_in_schema) < len(self.schema))
            + sum(cue.weight for cue in self._found((data_cues.DIMENSIONS, data_cues.IDENTIFIER)))
            + extent * sum(cue.weight for cue in self._found((*data_cues.WANTS, *data_cues.NARROWINGS)))
            + _GROUPING_WEIGHT * bool(self.grouped_by)
            - sum(cue.weight for cue in self.general)
        )

    @property
    def data_reason(self) -> str:
        """`asks for totals of sales by region`."""
        wanted = next((cue.reason for cue in self._found(data_cues.WANTS)), "records")
        words = [*self._words((data_cues.RECORDS, data_cues.THINGS)), *self._only_in_schema]
        topics = [word for word in dict.fromkeys(words) if word != self.grouped_by and word.isalpha()]
        subjects = self._found(data_cues.SUBJECTS)
        if not topics and not self.grouped_by and subjects:
            return max(subjects, key=lambda cue: cue.weight).reason
        of = f" of {' and '.join(topics[:3])}" if topics else ""
        by = f" by {self.grouped_by}" if self.grouped_by else ""
        return f"asks for {wanted}{of}{by}"

    @property
    def general_reason(self) -> str:
        return max(self.general, key=lambda cue: cue.weight, default=general_cues.ASKING).reason

    @property
    def _has_subject(self) -> bool:
        # A country or a year alone is no subject: both occur in many schemas, and in many general questions.
        dimensions = self._words((data_cues.DIMENSIONS,))
        return bool(self._found(data_cues.SUBJECTS)) or any(word not in dimensions for word in self.schema)

    @property
    def _only_in_schema(self) -> list[str]:
        known = {*self._words((data_cues.DIMENSIONS, *data_cues.SUBJECTS))}
        return [word for word in self.schema if word not in known]

    def _found(self, cues: Iterable[Cue]) -> list[Cue]:
        return [cue for cue in cues if cue in self.found]

    def _words(self, cues: Iterable[Cue]) -> list[str]:
        return [word for cue in self._found(cues) for word in self.found[cue]]


def find_evidence(question: NormalisedText, vocabulary: Collection[str]) -> Evidence:
    """`vocabulary` holds the table and column names of the configured databases."""
    found = {cue: words for cue in (*data_cues.CUES, *general_cues.CUES) if (words := cue.hits(question))}
    schema = question.found(schema_words(frozenset(vocabulary)))
    return Evidence(found, schema, _grouped_by(question, {*found.get(data_cues.DIMENSIONS, ()), *schema}))


@lru_cache(maxsize=32)
def schema_words(names: frozenset[str]) -> frozenset[str]:
    """The words of table and column names: `order_items.unit_price` gives order, item, unit, price."""
    words = {word for name in names for word in words_of(name)}
    return frozenset(word for word in words - _EVERYDAY if len(word) > 2)


def _weight(weight: float, found: Sequence[str]) -> float:
    return weight * sum(_REPEATED[: len(found)])


def _grouped_by(question: NormalisedText, groups: Collection[str]) -> str:
    words = [word.strip("?.,!;:") for word in question.text.split()]
    return next((group for word, group in pairwise(words) if word in _GROUPERS and group in groups), "")
