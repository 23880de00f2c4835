"""Choosing one of several teams by its description: words in common, and a few words that give a subject away."""

import json
import re
from typing import Final

from aiostream_server.models.demo.arithmetic import find_sum
from aiostream_server.models.demo.conversation import Conversation
from aiostream_server.models.demo.speech import LABEL, Reply, gist
from aiostream_server.models.demo.sql.words import singular
from aiostream_server.models.demo.word_list import word_list

_TEAM: Final = re.compile(r"^\s*[-*]\s*[`\"']?([a-z0-9][a-z0-9._-]{0,63})[`\"']?\s*(?::|—|–| - )\s*(.+)$", re.MULTILINE)
_CHOOSES: Final = re.compile(r"\b(?:team|choose|classify|route|pick|select|category)\b", re.IGNORECASE)
_DATA: Final = frozenset(
    word_list("""
        sale revenue turnover order customer product region category average total count database sql query table row
        top record month monthly quarter year stock price selling sold spent income profit inventory report
    """)
)
_DATA_TEAM: Final = frozenset(word_list("data database sql query table analysis analytic"))
_COMMON: Final = frozenset(
    word_list("""
        a about all an and answer any are as ask at be by can do does else everything for from get give had has have how
        i in is it its me my of on or other our please question should show tell that the their them there this to was
        we were what when where which who why will with you your
    """)
)
_WORD: Final = re.compile(r"[^\W_]+")


def asked(conversation: Conversation, *, json_output: bool) -> bool:
    """Whether JSON is asked for, or the system text lists teams to choose from."""
    return json_output or (len(_teams(conversation)) > 1 and bool(_CHOOSES.search(conversation.system)))


def answer(conversation: Conversation) -> Reply:
    """`{"team", "confidence", "reason"}`, or one honest `answer` where there are no teams to choose from."""
    teams = _teams(conversation)
    if not teams:
        words = f"I can only repeat what I was told: {gist(conversation.last)} {LABEL}"
        return Reply(json.dumps({"answer": words}, ensure_ascii=False))
    scores = {team: _score(conversation.question, description) for team, description in teams.items()}
    ranked = sorted(scores, key=lambda team: len(scores[team]), reverse=True)
    best = ranked[0] if scores[ranked[0]] else _general(teams)
    margin = len(scores[best]) - max((len(scores[team]) for team in teams if team != best), default=0)
    confidence = round(min(0.95, 0.5 + 0.15 * max(0, margin)), 2)
    why = f"words such as {', '.join(sorted(scores[best])[:3])}" if scores[best] else "nothing speaks for another"
    choice = {"team": best, "confidence": confidence, "reason": f"{why} {LABEL}"}
    return Reply(json.dumps(choice, ensure_ascii=False))


def _teams(conversation: Conversation) -> dict[str, str]:
    return dict(_TEAM.findall(conversation.system))


def _score(question: str, description: str) -> set[str]:
    """The words that speak for a team."""
    asked_words, described = _words(question), _words(description)
    found = asked_words & described
    if described & _DATA_TEAM:
        found |= asked_words & _DATA
    elif find_sum(question) and described & {"calculate", "calculation", "calculator", "arithmetic", "math", "general"}:
        found |= {"a sum", *_WORD.findall(question)[:2]}
    return found


def _general(teams: dict[str, str]) -> str:
    """Where no word decides: the team for everything, or the first."""
    return next((team for team, text in teams.items() if "general" in f"{team} {text}".lower()), next(iter(teams)))


def _words(text: str) -> set[str]:
    return {singular(word) for word in _WORD.findall(text.casefold())} - _COMMON
