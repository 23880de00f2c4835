"""The agents of a run's team, and which kind of speech the words of each are."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from aiostream_server.config.model import SpeechRole
from aiostream_server.events import SpeechKind
from aiostream_server.runs.speech_kinds import speech_kind

NAMELESS: Final = "Agent"
"""Stands for a speaker that nothing names."""


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
        """Of a message, or, without its text, of one that is being streamed."""
        if self.answers(agent):
            return "message" if self.awaits_form else "final"
        return self.roles.get(agent) or speech_kind(agent, text)
