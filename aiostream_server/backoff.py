"""How long to wait before what has failed is tried again."""

from typing import Final

_MOST_DOUBLINGS: Final = 30  # a float holds about a thousand of them


def doubled_s(failures: int, *, first_s: float, longest_s: float) -> float:
    """Seconds after so many failures in a row: `first_s` after the first, and after each other one twice as many."""
    return min(first_s * 2.0 ** min(failures - 1, _MOST_DOUBLINGS), longest_s)
