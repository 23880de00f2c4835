"""A sign: words or phrases which, found in a question, speak for one kind of team.

The lexicons (`data_signs`, `general_signs`) are tables of signs; `evidence` adds them up. All of them are written as
`reading.normalise` leaves a text (lower case, no accents) and, but for irregular forms, in the singular.
"""

import re
from dataclasses import dataclass

from aiostream_server.routing.reading import Reading, word_set


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """`weight` is in log-odds; `says` tells a person what was found."""

    weight: float
    says: str
    words: frozenset[str]
    stems: tuple[str, ...]
    phrase: re.Pattern[str] | None

    def hits(self, reading: Reading) -> list[str]:
        """What was found, as the person wrote it; a phrase counts once."""
        found = reading.found(self.words, self.stems)
        match = self.phrase.search(reading.text) if self.phrase else None
        return [*found, match.group()] if match else found


def sign(
    weight: float, says: str, *, words: str = "", stems: str = "", phrases: str = "", after: str = "", pattern: str = ""
) -> Sign:
    """Write one down.

    `words`, and `stems` (beginnings of words, for inflected languages), are space-separated. `phrases` is one regular
    expression a line, each of them whole words; they count only where `after`, another, is in front of them. `pattern`
    is one that is none of these.
    """
    lines = [line.strip() for line in phrases.splitlines() if line.strip()]
    alternatives = ([rf"{after}\b(?:{'|'.join(lines)})\b"] if lines else []) + ([pattern] if pattern else [])
    return Sign(
        weight=weight,
        says=says,
        words=word_set(words),
        stems=tuple(stems.split()),
        phrase=re.compile("|".join(alternatives)) if alternatives else None,
    )
