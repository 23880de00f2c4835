"""Which kind of speech an agent's words are: thinking, validation, analysis, a message, or the answer.

The configuration's `answer_from` and `roles` say it. For other agents the name decides, then keywords, which must state
the thing ("the query is valid", "3 rows returned", "in conclusion") and not merely mention it; in doubt it is a
message.
"""

import re
from collections.abc import Collection, Mapping
from typing import Final

from aiostream_server.config.model import SpeechRole
from aiostream_server.events import SpeechKind

# Matched at the beginning of each word of a name: a Previewer reviews nothing.
_NAMES: Final[tuple[tuple[SpeechRole, re.Pattern[str]], ...]] = (
    ("validation", re.compile(r"valid|guard|review|critic(?!al)|check|verif|judge|moderat", re.IGNORECASE)),
    ("analysis", re.compile(r"analy|interpret|insight|summar|report", re.IGNORECASE)),
    ("thinking", re.compile(r"plann|think|reason|sql|draft(?:er|ing)|research|quer", re.IGNORECASE)),
)
_NAME_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_WORDS: Final[tuple[tuple[SpeechRole, re.Pattern[str]], ...]] = (
    (
        "validation",
        re.compile(
            r"^\W*(?:i am |i'm |now )?validating\b(?! (?:is|was|are|your|a)\b)"
            r"|^\W*(?:validation (?:passed|failed|result\b)|(?:not )?approved[:.!]|rejected[:.!]|blocked[:.!])"
            r"|^\W*(?:the|this|your) (?:query|code|sql|statement) (?:is|looks) (?:not )?(?:in)?(?:valid|(?:un)?safe)\b",
            re.IGNORECASE,
        ),
    ),
    (
        "thinking",
        re.compile(
            r"^\W*(?:sql )?query:\s*\S"
            r"|^\W*(?:let me (?:think|see|check|first)\b|first,? i(?:'ll| will) |my plan is\b|plan:|thinking:)",
            re.IGNORECASE,
        ),
    ),
    (
        "analysis",
        re.compile(
            r"^\W*(?:in (?:conclusion|summary)\b|to (?:conclude|sum up)\b|(?:key )?(?:findings?|insights?|analysis):)"
            r"|^\W*(?:the query )?(?:returned )?\d+ rows?(?: (?:were |was )?returned)?[:.]"
            r"|^\W*\d+ rows? (?:were |was )?returned\b"
            r"|^\W*the (?:data|results?|numbers|rows) shows?\b",
            re.IGNORECASE,
        ),
    ),
)
_LOOKED_AT_CHARS: Final = 400


class SpeechKinds:
    """One run's. `answer_from` names the agents whose words are the answer."""

    __slots__ = ("_roles", "answer_from")

    def __init__(self, roles: Mapping[str, SpeechRole], answer_from: Collection[str]) -> None:
        self.answer_from = answer_from
        self._roles: Final = roles

    def of_stream(self, agent: str) -> SpeechKind:
        """Of words whose end is still to come."""
        if agent in self.answer_from:
            return "final"
        return self._roles.get(agent) or kind_by_name(agent)

    def of_whole(self, agent: str, text: str) -> SpeechKind:
        if agent in self.answer_from:
            return "message"
        return self._roles.get(agent) or kind_by_words(agent, text)


def kind_by_name(agent: str) -> SpeechRole:
    """`ReviewerBot` validates, `DataAnalyst` analyses; any other name gives a message."""
    words = _NAME_WORDS.findall(agent)
    return next((kind for kind, pattern in _NAMES if any(map(pattern.match, words))), "message")


def kind_by_words(agent: str, text: str) -> SpeechRole:
    """By the agent's name; if that gives a message, by the beginning of the text."""
    by_name = kind_by_name(agent)
    if by_name != "message":
        return by_name
    beginning = text[:_LOOKED_AT_CHARS]
    return next((kind for kind, pattern in _WORDS if pattern.search(beginning)), "message")
