"""Events -> parts -> what a chat client shows. Pure: no I/O, no clock.

`parts` is the state machine that every reader of a run uses; a view (`transcript`, `answer`) turns parts into text, and
a presenter is a view that is fed events.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from aiostream_server.config.model import Presentation
from aiostream_server.events import Event, Notice, Restarted, Routing, Token
from aiostream_server.present.answer import AnswerOnly, Reasoning
from aiostream_server.present.escaped_view import ANSWERED, SPOKEN, EscapedView
from aiostream_server.present.escaping import Page
from aiostream_server.present.quoting import QuotedView
from aiostream_server.present.shown import Channel, PartsPresenter, Presenter, Shown, View
from aiostream_server.present.transcript import Transcript

__all__ = ["BareContent", "Page", "Presenter", "Shown", "new_presenter", "routed_presenter"]


def new_presenter(presentation: Presentation, page: Page | None = None) -> Presenter:
    """A presenter for one viewer of one run: it remembers what it has shown."""
    innermost = _view(presentation, page)
    view: View = QuotedView(innermost)
    if page is not None:
        view = EscapedView(view, page, ANSWERED if presentation == "reasoning" else SPOKEN)
    return PartsPresenter(view, innermost.overdue if isinstance(innermost, Transcript) else _nothing)


def routed_presenter(by_team: Mapping[str, Presentation], page: Page | None = None) -> Presenter:
    """A presenter for a run that chooses its team; `by_team` has the presentation of each team."""
    return _Routed(by_team, page)


def _nothing() -> Iterator[Shown]:
    return iter(())


def _view(presentation: Presentation, page: Page | None) -> View:
    match presentation:
        case "transcript":
            return Transcript(page)
        case "reasoning":
            return Reasoning(page)
        case "answer":
            return AnswerOnly()
        case _:
            assert_never(presentation)


class BareContent:
    """Moves what users are told beside the answer to the reasoning: programs parse the content."""

    def __init__(self, presenter: Presenter) -> None:
        self._presenter = presenter

    def show(self, event: Event) -> Iterator[Shown]:
        shown = self._presenter.show(event)
        if isinstance(event, Notice | Restarted):
            return (replace(each, channel="reasoning") for each in shown)
        return shown

    def overdue(self) -> Iterator[Shown]:
        return self._presenter.overdue()

    def continued(self, token: Token) -> Channel | None:
        return self._presenter.continued(token)


class _Routed:
    """Switches to the presentation of the team that `Routing` names.

    Before that, it shows the run in the presentation that all teams have in common, or else as a transcript.
    """

    def __init__(self, by_team: Mapping[str, Presentation], page: Page | None) -> None:
        presentations = {*by_team.values()}
        self._by_team = by_team
        self._page = page
        self._presentation: Presentation = presentations.pop() if len(presentations) == 1 else "transcript"
        self._presenter = new_presenter(self._presentation, page)
        self._has_shown = False
        self._gap = ""  # before the first text of the next presenter, which does not know of the text above it

    def show(self, event: Event) -> Iterator[Shown]:
        if isinstance(event, Routing) and event.team is not None:
            self._switch(self._by_team.get(event.team, self._presentation))
        yield from self._behind_gap(self._presenter.show(event))

    def overdue(self) -> Iterator[Shown]:
        return self._behind_gap(self._presenter.overdue())

    def continued(self, token: Token) -> Channel | None:
        return self._presenter.continued(token) if self._has_shown and not self._gap else None

    def _behind_gap(self, pieces: Iterator[Shown]) -> Iterator[Shown]:
        for shown in pieces:
            yield replace(shown, text=self._gap + shown.text) if self._gap else shown
            self._gap, self._has_shown = "", True

    def _switch(self, presentation: Presentation) -> None:
        if presentation != self._presentation:
            self._presentation = presentation
            self._presenter = new_presenter(presentation, self._page)
            self._gap = "\n\n" if self._has_shown else ""
