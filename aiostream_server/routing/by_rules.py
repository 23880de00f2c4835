"""Chooses a team by rules: without a model, in well under a millisecond, and with a reason that people can check.

Every candidate gets log-odds against "none of the special teams": `data` from `evidence`, configured teams from the
words that the question shares with their descriptions and examples; `general` takes the rest. The softmax of the
log-odds is the confidence.
"""

import math
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Final

from aiostream_server.routing.candidates import DATA, GENERAL, Candidate, Decision, fallback_team
from aiostream_server.routing.cues import NormalisedText, singular, word_set, words_of
from aiostream_server.routing.evidence import Evidence, find_evidence
from aiostream_server.routing.general_cues import ASKING

_NO_TEAM: Final = ""  # takes the general team's place where there is none
_NOTHING_KNOWN: Final = 0.2
_SHORT_WORDS: Final = 8
_UNCLEAR: Final = 0.7  # "and by month?" alone is 0.62 for data, "list customers" 0.83
_SUREST: Final = 0.99  # rules are never certain
_SIMILARITY_PRIOR: Final = -2.0
_PER_SHARED_WORD: Final = 1.0
_PER_SHARE_OF_WORDS: Final = 3.0
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


def classify(
    question: str,
    candidates: Sequence[Candidate],
    *,
    earlier: Sequence[str] = (),
    vocabulary: Collection[str] = (),
) -> Decision:
    """The likeliest of the candidates, of which there is at least one. A question without content gives a fallback.

    `earlier` holds the previous questions, oldest first. A vague question ("and by month?") goes to the team of the
    previous ones.
    """
    normalised = NormalisedText.of(question)
    if not any(word.isalpha() or word.isdigit() for word in normalised.forms):
        return _fallback(candidates, "there is no question in it", 0.0)
    evidence = find_evidence(normalised, vocabulary)
    decision = _classify(normalised, evidence, candidates)
    if earlier and decision.team == fallback_team(candidates) and _is_vague(normalised, evidence):
        return _continued(earlier, candidates, vocabulary) or decision
    return decision


def is_follow_up(question: str, candidates: Sequence[Candidate], vocabulary: Collection[str] = ()) -> bool:
    """Whether the question is too vague to choose a team by, so that it continues a conversation."""
    normalised = NormalisedText.of(question)
    evidence = find_evidence(normalised, vocabulary)
    decision = _classify(normalised, evidence, candidates)
    is_clear = decision.team != fallback_team(candidates) and decision.confidence > _UNCLEAR
    return not is_clear and _is_vague(normalised, evidence)


def _is_vague(normalised: NormalisedText, evidence: Evidence) -> bool:
    """Whether it has few words and no cue of a general question, except asking words ("why?", "what about ...")."""
    return all(cue is ASKING for cue in evidence.general) and len(normalised.text.split()) <= _SHORT_WORDS


def _continued(earlier: Sequence[str], candidates: Sequence[Candidate], vocabulary: Collection[str]) -> Decision | None:
    """The decision for the last earlier question that was not vague."""
    for number, question in enumerate(reversed(earlier), start=1):
        before = classify(question, candidates, vocabulary=vocabulary)
        if before.strategy == "rules":
            if before.team == fallback_team(candidates) and number < len(earlier):
                continue  # this question may continue an earlier one itself
            return replace(before, reason=f"goes on: {before.reason}")
    return None


def _classify(normalised: NormalisedText, evidence: Evidence, candidates: Sequence[Candidate]) -> Decision:
    odds, shared = _odds(normalised, evidence, candidates)
    best = max(odds, key=lambda team: odds[team])
    confidence = _share(odds, best)
    if best == _NO_TEAM:
        return _fallback(candidates, "no team's subject is in it", 1 - confidence)
    if best == GENERAL and evidence.is_empty:
        return _fallback(candidates, "says too little to tell", _NOTHING_KNOWN)
    return Decision(best, confidence, _reason(best, evidence, shared), "rules")


def _odds(
    normalised: NormalisedText, evidence: Evidence, candidates: Sequence[Candidate]
) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Log-odds of each team, 0 for the general one, and the words that configured teams share with the question."""
    odds = {GENERAL if any(candidate.id == GENERAL for candidate in candidates) else _NO_TEAM: 0.0}
    shared: dict[str, list[str]] = {}
    for candidate in candidates:
        if candidate.id == DATA:
            odds[DATA] = evidence.log_odds
        elif candidate.id != GENERAL:
            odds[candidate.id], shared[candidate.id] = _similarity(normalised, candidate, candidates)
    return odds, shared


def _similarity(
    normalised: NormalisedText, candidate: Candidate, candidates: Sequence[Candidate]
) -> tuple[float, list[str]]:
    """Log-odds that the question is for `candidate`, and the words that they share.

    Compares words, not meanings: which share of the question's words occurs in the team's own text. A word that several
    teams use counts less for each of them.
    """
    asked = {singular(word) for word in normalised.forms.values()} - _STOP_WORDS
    weights = _profiles(tuple(candidates))[candidate.id]
    shared = [word for word in normalised.forms if word in asked and word in weights]
    if not shared:
        return -math.inf, []
    matched = sum(weights[word] for word in shared)
    return _SIMILARITY_PRIOR + _PER_SHARED_WORD * matched + _PER_SHARE_OF_WORDS * matched / len(
        asked
    ), normalised.found(shared)


@lru_cache(maxsize=32)
def _profiles(candidates: tuple[Candidate, ...]) -> dict[str, dict[str, float]]:
    """The words of each team, with the weight 1 / (number of teams that use the word)."""
    profiles = {candidate.id: _words(candidate) for candidate in candidates}
    users = Counter(word for words in profiles.values() for word in words)
    return {team: {word: 1 / users[word] for word in words} for team, words in profiles.items()}


def _words(candidate: Candidate) -> frozenset[str]:
    text = " ".join((candidate.id, candidate.name, candidate.description, *candidate.examples))
    return frozenset(word for word in words_of(text) if len(word) > 1) - _STOP_WORDS


def _share(odds: dict[str, float], best: str) -> float:
    share = 1 / sum(math.exp(min(value - odds[best], 0.0)) for value in odds.values())
    return round(min(share, _SUREST), 3)


def _reason(team: str, evidence: Evidence, shared: dict[str, list[str]]) -> str:
    if team in shared:
        return "mentions " + ", ".join(shared[team][:3])
    return evidence.data_reason if team == DATA else evidence.general_reason


def _fallback(candidates: Sequence[Candidate], reason: str, confidence: float) -> Decision:
    return Decision(fallback_team(candidates), round(confidence, 3), reason, "fallback")
