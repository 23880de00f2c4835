"""What is asked of a run."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from aiostream_server.config.model import OnDisconnect
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import LOCAL_OWNER, Owner
from aiostream_server.intake.question import Question
from aiostream_server.teams.catalogue import TeamSpec


class TurnKey(NamedTuple):
    """Runs with the same key answer one conversation and take turns.

    `model` is empty where the server keeps the history: then there is one line of turns. A chat page that resends the
    history may ask several models at once.
    """

    owner: Owner
    conversation: str
    model: str


@dataclass(frozen=True, slots=True)
class RunRequest:
    """A question, and how to treat its run.

    `spec` is the team that the client named. Without one the router chooses among the `allowed` teams (None: all).
    `on_disconnect` is the client's choice; without one the team's applies, and without that `by_default`. `link_base`
    is the beginning of links to the server; without it the run keeps no files.
    """

    question: Question
    model: str
    spec: TeamSpec | None = None
    allowed: Collection[str] | None = None
    owner: Owner = LOCAL_OWNER
    on_disconnect: OnDisconnect | None = None
    by_default: OnDisconnect = "cancel"
    conversation: Conversation | None = None
    link_base: str = ""

    @property
    def turn_key(self) -> TurnKey | None:
        """None for a question without a conversation."""
        talk = self.conversation
        return None if talk is None else TurnKey(self.owner, talk.name, self.model if talk.resends else "")
