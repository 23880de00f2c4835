"""The agents of a run's team, and which kind of speech the words of each are.

Where the configuration does not say it, the agent's name decides, then keywords, which must state the thing ("the query
is valid", "3 rows returned", "in conclusion") and not merely mention it; in doubt it is a message.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from aiostream_server.config.model import SpeechRole
from aiostream_server.events import SpeechKind

NAMELESS: Final = "Agent"
"""Stands for a speaker that nothing names."""

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


@dataclass(frozen=True, slots=True)
class Speakers:
    """One team's. Without `names`, of a team that does not tell its agents, every speaker is heard.

    `answer_from` are the agents that answer; without any, a lone agent does. `roles` says which kind of speech the
    words of others are. `awaits_form`: what the answering agents say is not the answer yet, because a last call puts it
    into the form that the request asks for.
    """

    names: frozenset[str] = frozenset()
    answer_from: Collection[str] = ()
    roles: Mapping[str, SpeechRole] = field(default_factory=dict)
    awaits_form: bool = False

    def hears(self, speaker: str | None) -> bool:
        return speaker is None or not self.names or speaker in self.names

    def agent(self, speaker: str | None) -> str:
        """Outside a group chat the speaker is unknown: then it is the only agent, if there is only one."""
        if speaker is not None:
            return speaker
        return next(iter(self.names)) if len(self.names) == 1 else NAMELESS

    def answers(self, agent: str) -> bool:
        """Whether what this agent says is the answer."""
        return agent in (self.answer_from or (self.names if len(self.names) == 1 else ()))

    def kind_of(self, agent: str, text: str = "") -> SpeechKind:
        """The kind of a message or, without its text, of one that is being streamed."""
        if self.answers(agent):
            return "message" if self.awaits_form else "final"
        return self.roles.get(agent) or speech_kind(agent, text)


def speech_kind(agent: str, text: str = "") -> SpeechRole:
    """The kind by the agent's name (`ReviewerBot` validates, `DataAnalyst` analyses), else by the text's beginning."""
    words = _NAME_WORDS.findall(agent)
    by_name = (kind for kind, pattern in _NAMES if any(map(pattern.match, words)))
    by_text = (kind for kind, pattern in _WORDS if pattern.search(text[:_LOOKED_AT_CHARS]))
    return next(chain(by_name, by_text), "message")
