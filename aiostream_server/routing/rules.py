"""Which team a question is for, by rules: no model, well under a millisecond, and a reason that a person can check.

Every candidate gets log-odds against "none of the special teams": `data` from `evidence`, configured teams from
`likeness`; `general` is what is left. The softmax of them is the confidence.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from aiostream_server.routing.candidates import DATA, GENERAL, Candidate, Decision, fallback_team
from aiostream_server.routing.evidence import Evidence, find_evidence
from aiostream_server.routing.general_signs import ASKING
from aiostream_server.routing.likeness import likeness
from aiostream_server.routing.reading import Reading

_NO_TEAM: Final = ""  # stands for whatever the general team would take, where there is none
_NOTHING_KNOWN: Final = 0.2
_LITTLE_WORDS: Final = 8
_UNCLEAR: Final = 0.7  # "and by month?" alone is 0.62 for data, "list customers" 0.83
_SUREST: Final = 0.99  # rules are never certain


def classify(
    question: str,
    candidates: Sequence[Candidate],
    *,
    earlier: Sequence[str] = (),
    vocabulary: Collection[str] = (),
) -> Decision:
    """The likeliest of the candidates (at least one). A question that says nothing at all is a fallback.

    `earlier` are the questions before it, oldest first: one that says little of its own ("and by month?") goes where
    they went.
    """
    reading = Reading.of(question)
    if not any(word.isalpha() or word.isdigit() for word in reading.forms):
        return _fallback(candidates, "there is no question in it", 0.0)
    evidence = find_evidence(reading, vocabulary)
    decision = _classify(reading, evidence, candidates)
    if earlier and decision.team == fallback_team(candidates) and _says_little(reading, evidence):
        return _goes_on(earlier, candidates, vocabulary) or decision
    return decision


def is_follow_up(question: str, candidates: Sequence[Candidate], vocabulary: Collection[str] = ()) -> bool:
    """Whether it carries no clear sign of its own: asked within a conversation, it goes on with that."""
    reading = Reading.of(question)
    evidence = find_evidence(reading, vocabulary)
    decision = _classify(reading, evidence, candidates)
    is_clear = decision.team != fallback_team(candidates) and decision.confidence > _UNCLEAR
    return not is_clear and _says_little(reading, evidence)


def _says_little(reading: Reading, evidence: Evidence) -> bool:
    """A few words, none of which speaks for a general question: asking alone ("why?", "what about ...") does not."""
    return all(sign is ASKING for sign in evidence.general) and len(reading.text.split()) <= _LITTLE_WORDS


def _goes_on(earlier: Sequence[str], candidates: Sequence[Candidate], vocabulary: Collection[str]) -> Decision | None:
    """Where the last question went that said enough."""
    for number, question in enumerate(reversed(earlier), start=1):
        before = classify(question, candidates, vocabulary=vocabulary)
        if before.strategy == "rules":
            if before.team == fallback_team(candidates) and number < len(earlier):
                continue  # it may go on about something itself
            return replace(before, reason=f"goes on: {before.reason}")
    return None


def _classify(reading: Reading, evidence: Evidence, candidates: Sequence[Candidate]) -> Decision:
    odds, shared = _odds(reading, evidence, candidates)
    best = max(odds, key=lambda team: odds[team])
    confidence = _share(odds, best)
    if best == _NO_TEAM:
        return _fallback(candidates, "no team's subject is in it", 1 - confidence)
    if best == GENERAL and evidence.is_empty:
        return _fallback(candidates, "says too little to tell", _NOTHING_KNOWN)
    return Decision(best, confidence, _reason(best, evidence, shared), "rules")


def _odds(
    reading: Reading, evidence: Evidence, candidates: Sequence[Candidate]
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Log-odds per team, 0 for what no special team takes, and the words that speak for each configured team."""
    odds = {GENERAL if any(candidate.id == GENERAL for candidate in candidates) else _NO_TEAM: 0.0}
    shared: dict[str, list[str]] = {}
    for candidate in candidates:
        if candidate.id == DATA:
            odds[DATA] = evidence.log_odds
        elif candidate.id != GENERAL:
            odds[candidate.id], shared[candidate.id] = likeness(reading, candidate, candidates)
    return odds, shared


def _share(odds: dict[str, float], best: str) -> float:
    share = 1 / sum(math.exp(min(value - odds[best], 0.0)) for value in odds.values())
    return round(min(share, _SUREST), 3)


def _reason(team: str, evidence: Evidence, shared: dict[str, list[str]]) -> str:
    if team in shared:
        return "mentions " + ", ".join(shared[team][:3])
    return evidence.data_reason if team == DATA else evidence.general_reason


def _fallback(candidates: Sequence[Candidate], reason: str, confidence: float) -> Decision:
    return Decision(fallback_team(candidates), round(confidence, 3), reason, "fallback")
