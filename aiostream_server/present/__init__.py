"""Events -> what a chat client shows."""

from collections.abc import Mapping
from functools import partial
from typing import assert_never

from aiostream_server.config.model import Presentation
from aiostream_server.present.answer import AnswerOnly
from aiostream_server.present.guard import ANSWERED, SPOKEN, Guarded
from aiostream_server.present.lanes import InTurn
from aiostream_server.present.page import Page
from aiostream_server.present.reasoning import Reasoning
from aiostream_server.present.routed import Routed
from aiostream_server.present.shown import Presenter, Shown
from aiostream_server.present.transcript import Transcript

__all__ = ["Page", "Presenter", "Shown", "new_presenter", "routed_presenter"]


def new_presenter(presentation: Presentation, page: Page | None = None) -> Presenter:
    """A presenter for one viewer of one run: it remembers what it has shown."""
    if page is None:
        return InTurn(_plain(presentation, page))
    code_in = ANSWERED if presentation == "reasoning" else SPOKEN
    return InTurn(Guarded(_plain(presentation, page), page, code_in))


def routed_presenter(by_team: Mapping[str, Presentation], page: Page | None = None) -> Presenter:
    """A presenter for a question whose team the run itself chooses; `by_team` says how each team is shown."""
    return Routed[Presentation](by_team, "transcript", partial(new_presenter, page=page))


def _plain(presentation: Presentation, page: Page | None) -> Presenter:
    match presentation:
        case "transcript":
            return Transcript(page)
        case "reasoning":
            return Reasoning(page)
        case "answer":
            return AnswerOnly()
        case _:
            assert_never(presentation)
