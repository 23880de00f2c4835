"""What agents say, as a page may be shown it: nothing in it is taken for markup. See `marking` for what that means.

Tool calls and results pass as they are: `blocks` sees to them.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final

from aiostream_server.events import Dropped, Event, InputRequested, Routing, RunStarted, Said, SpeechKind, Token, Usage
from aiostream_server.events.model import Analysis, Answer, Message, Thinking, Validation
from aiostream_server.present.marking import Marking, Swallower, marked
from aiostream_server.present.page import Page
from aiostream_server.present.shown import Channel, Presenter, Shown
from aiostream_server.present.signs import is_one_line

ANSWERED: Final[frozenset[SpeechKind]] = frozenset({"final"})
SPOKEN: Final[frozenset[SpeechKind]] = frozenset({"thinking", "validation", "analysis", "message", "final"})


class Guarded:
    """A presenter whose text cannot break out of itself. Wants one message at a time: see `lanes.InTurn`.

    Only what is said as one of `code_in` may hold code that stays as it is: elsewhere it is text like any other.
    """

    def __init__(self, presenter: Presenter, page: Page, code_in: Collection[SpeechKind] = SPOKEN) -> None:
        self._presenter = presenter
        self._page = page
        self._code_in = code_in
        self._swallower = Swallower()
        self._names: dict[str, str] = {}
        self._open: tuple[Token, Marking] | None = None  # the message that is being said, and its first token

    def show(self, event: Event) -> Iterator[Shown]:
        if not isinstance(event, Token):
            return self._show_all(self._guarded(event))
        if self._open is None or (event.kind, event.agent) != (self._open[0].kind, self._open[0].agent):
            return self._show_all(self._opened(event))
        token = self._token(event, self._open[1])
        return iter(()) if token is None else self._presenter.show(token)

    def continued(self, token: Token) -> Channel | None:
        return None  # what is guarded is looked at

    def _show_all(self, events: Iterator[Event]) -> Iterator[Shown]:
        for event in events:
            yield from self._presenter.show(event)

    def _guarded(self, event: Event) -> Iterator[Event]:
        match event:
            case RunStarted() | Usage():
                yield event
            case Thinking() | Validation() | Analysis() | Message() | Answer():
                yield from self._close()
                yield self._said(event)
            case Routing(content=content, team_name=name):
                yield from self._close()
                name = name and marked(name, self._page)
                yield replace(event, agent=self._name(event.agent), content=marked(content, self._page), team_name=name)
            case InputRequested():
                yield from self._close()
                yield replace(event, agent=self._name(event.agent))
            case Dropped():
                yield from self._close()
                self._swallower.was_seen = True  # who knows what else
                yield event
            case _:
                yield from self._close()
                yield event

    def _opened(self, token: Token) -> Iterator[Event]:
        yield from self._close()
        marking = self._marking(token.kind)
        self._open = token, marking
        if first := self._token(token, marking):
            yield first

    def _token(self, token: Token, marking: Marking) -> Token | None:
        """None where all of it is held back."""
        text, name = marking.feed(token.content), self._name(token.agent)
        if text is token.content and name == token.agent:
            return token
        return Token(name, text, token.kind) if text else None

    def _close(self) -> Iterator[Token]:
        """The rest of the message that was being said."""
        if self._open is None:
            return
        (token, marking), self._open = self._open, None
        if rest := marking.end():
            yield Token(self._name(token.agent), rest, token.kind)

    def _said(self, event: Said) -> Said:
        if event.streamed:
            return replace(event, agent=self._name(event.agent))  # its content is not shown
        is_beside_heading = isinstance(event, Validation) and is_one_line(event.content)
        marking = self._marking(event.type, mid_line=is_beside_heading)
        return replace(event, agent=self._name(event.agent), content=marking.feed(event.content) + marking.end())

    def _marking(self, kind: SpeechKind, *, mid_line: bool = False) -> Marking:
        swallower = self._swallower if kind in self._code_in else Swallower(was_seen=True)
        return Marking(self._page, swallower, mid_line=mid_line)

    def _name(self, agent: str) -> str:
        if agent not in self._names:
            self._names[agent] = marked(agent, self._page)
        return self._names[agent]
