"""A routed question: shown as the team that it goes to is shown, from the moment on in which that is known."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Generic, TypeVar

from aiostream_server.events import Event, Routing, Token
from aiostream_server.present.shown import Channel, Presenter, Shown

_P = TypeVar("_P")


class Routed(Generic[_P]):
    """One viewer's view. `by_team` says how each team is shown, `make` makes a presenter of that kind.

    Until the team is known, the run is shown as all teams are, where they agree, and else as `otherwise`.
    """

    def __init__(self, by_team: Mapping[str, _P], otherwise: _P, make: Callable[[_P], Presenter]) -> None:
        kinds = set(by_team.values())
        self._by_team = by_team
        self._kind = kinds.pop() if len(kinds) == 1 else otherwise
        self._make = make
        self._presenter = make(self._kind)
        self._has_shown = False
        self._gap = ""  # what the next presenter does not know that it needs

    def show(self, event: Event) -> Iterator[Shown]:
        if isinstance(event, Routing) and event.team is not None:
            kind = self._by_team.get(event.team, self._kind)
            if kind != self._kind:
                self._kind, self._presenter = kind, self._make(kind)
                self._gap = "\n\n" if self._has_shown else ""
        for shown in self._presenter.show(event):
            yield replace(shown, text=self._gap + shown.text) if self._gap else shown
            self._gap, self._has_shown = "", True

    def continued(self, token: Token) -> Channel | None:
        return self._presenter.continued(token) if self._has_shown and not self._gap else None
