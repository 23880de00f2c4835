"""Which kind of speech an agent's words are, where the configuration does not say it.

The agent's name decides, then keywords, which must state the thing ("the query is valid", "3 rows returned", "in
conclusion") and not merely mention it; in doubt it is a message.
"""

import re
from itertools import chain
from typing import Final

from aiostream_server.config.model import SpeechRole

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


def speech_kind(agent: str, text: str = "") -> SpeechRole:
    """By the agent's name (`ReviewerBot` validates, `DataAnalyst` analyses), else by the beginning of the text."""
    words = _NAME_WORDS.findall(agent)
    by_name = (kind for kind, pattern in _NAMES if any(map(pattern.match, words)))
    by_text = (kind for kind, pattern in _WORDS if pattern.search(text[:_LOOKED_AT_CHARS]))
    return next(chain(by_name, by_text), "message")
