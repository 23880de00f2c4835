"""The last resort: what an agent that nobody described is probably doing, from its name and its words.

Asked only where neither the message's class nor the config's `roles` says it. Words must state the thing ("the query
is valid", "3 rows returned", "in conclusion"), not merely mention it; in doubt a message is a message.
"""

import re
from typing import Final

from aiostream_server.config.model import SpeechRole

# Asked of each word of a name, from its beginning: a Previewer reviews nothing.
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


def kind_by_name(agent: str) -> SpeechRole:
    """`ReviewerBot` validates, `DataAnalyst` analyses; a name that says nothing gives a message."""
    words = _NAME_WORDS.findall(agent)
    return next((kind for kind, pattern in _NAMES if any(map(pattern.match, words))), "message")


def kind_by_words(agent: str, text: str) -> SpeechRole:
    """The agent's name decides where it says something; else the text's beginning."""
    by_name = kind_by_name(agent)
    if by_name != "message":
        return by_name
    beginning = text[:_LOOKED_AT_CHARS]
    return next((kind for kind, pattern in _WORDS if pattern.search(beginning)), "message")
