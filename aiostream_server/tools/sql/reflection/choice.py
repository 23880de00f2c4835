"""Which tables are open to questions, and which of their values are shown as samples."""

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Final

SAMPLED_TABLES: Final = 50
SAMPLED_ROWS: Final = 500
SAMPLED_CELLS: Final = 500_000  # of all tables together: reading that many takes half a second
MAX_SAMPLE_CHARS: Final = 40
MAX_SAMPLES: Final = 12


def is_chosen(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether a table with these names (`orders`, `sales.orders`) is chosen by shell patterns, ignoring case.

    A pattern that begins with `!` excludes. The last pattern that matches decides. Without one that includes, every
    table is chosen.
    """
    chosen = all(pattern.startswith("!") for pattern in patterns)
    for pattern in patterns:
        wanted = pattern.removeprefix("!").lower()
        if any(fnmatchcase(name.lower(), wanted) for name in names):
            chosen = not pattern.startswith("!")
    return chosen


def telling(values: Iterable[object]) -> tuple[str, ...]:
    """The different values, sorted, where they are few and short; else nothing."""
    texts = {value for value in values if value is not None}
    if len(texts) > MAX_SAMPLES or not all(isinstance(text, str) and len(text) <= MAX_SAMPLE_CHARS for text in texts):
        return ()
    return tuple(sorted(map(str, texts)))
