"""Events -> what a chat client shows."""

from collections.abc import Mapping
from typing import assert_never

from aiostream_server.config.model import Presentation
from aiostream_server.present.answer import Answer
from aiostream_server.present.lanes import InTurn
from aiostream_server.present.reasoning import Reasoning
from aiostream_server.present.routed import Routed
from aiostream_server.present.shown import Presenter, Shown
from aiostream_server.present.transcript import Transcript

__all__ = ["Presenter", "Shown", "new_presenter", "routed_presenter"]


def new_presenter(presentation: Presentation) -> Presenter:
    """A presenter for one viewer of one run: it remembers what it has shown."""
    match presentation:
        case "transcript":
            return InTurn(Transcript())
        case "reasoning":
            return InTurn(Reasoning())
        case "answer":
            return InTurn(Answer())
        case _:
            assert_never(presentation)


def routed_presenter(by_team: Mapping[str, Presentation]) -> Presenter:
    """A presenter for a question whose team the run itself chooses; `by_team` says how each team is shown."""
    return Routed[Presentation](by_team, "transcript", new_presenter)
