"""How much a question sounds like a team that only its description and its examples describe.

Words are compared, not meanings: the share of the question's telling words that the team's own text has. A word that
several teams use says less about each of them.
"""

import math
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.reading import Reading, singular, word_set, words_of

_PRIOR: Final = -2.0
_PER_WORD: Final = 1.0
_PER_SHARE: Final = 3.0
_STOP_WORDS: Final = word_set(
    """
    a about after all an and any are as at be been but by can could did do does for from get give had has have he her
    his how i if in into is it its just like make many me more most much my need no not of on one or our out over please
    she show so some tell than thank that the their them then there these they thi this to up us want was we were what
    when where which who whom whose why will with would you your assistant team agent help helps answer answers question
    questions der die das den dem ein eine einen ist sind und oder wie was wer wo wann warum ich wir uns mit von zu fur
    auf le la les un une des du de et ou est sont je nous vous que qui quoi comment pour avec el los las una y o es son
    como para con por se w z na do i jak co jest czy nie to
    """
)


def likeness(reading: Reading, candidate: Candidate, candidates: Sequence[Candidate]) -> tuple[float, list[str]]:
    """Log-odds that the question is for `candidate`, and the words that they share."""
    asked = {singular(word) for word in reading.forms.values()} - _STOP_WORDS
    weights = _profiles(tuple(candidates))[candidate.id]
    shared = [word for word in reading.forms if word in asked and word in weights]
    if not shared:
        return -math.inf, []
    matched = sum(weights[word] for word in shared)
    return _PRIOR + _PER_WORD * matched + _PER_SHARE * matched / len(asked), reading.found(shared)


@lru_cache(maxsize=32)
def _profiles(candidates: tuple[Candidate, ...]) -> dict[str, dict[str, float]]:
    """Each team's words, weighted by how few teams use them: 1 for a word of its own."""
    profiles = {candidate.id: _words(candidate) for candidate in candidates}
    users = Counter(word for words in profiles.values() for word in words)
    return {team: {word: 1 / users[word] for word in words} for team, words in profiles.items()}


def _words(candidate: Candidate) -> frozenset[str]:
    text = " ".join((candidate.id, candidate.name, candidate.description, *candidate.examples))
    return frozenset(word for word in words_of(text) if len(word) > 1) - _STOP_WORDS
