"""Escapes what agents say for a page that renders Markdown and HTML. `marking` does it for one message.

Tool calls and results pass unchanged: `blocks` escapes them.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final, assert_never

from aiostream_server.events import (
    SPEECHES,
    Action,
    Dropped,
    Error,
    InputRequested,
    Routing,
    RunFinished,
    SpeechKind,
    Token,
    ToolResult,
)
from aiostream_server.present.marking import Marking, Page, Swallower, marked
from aiostream_server.present.parts import Closed, EventPart, Opened, Part
from aiostream_server.present.shown import Shown, View
from aiostream_server.present.transcript import is_beside_heading

ANSWERED: Final[frozenset[SpeechKind]] = frozenset({"final"})
SPOKEN: Final[frozenset[SpeechKind]] = frozenset(SPEECHES)


class Guarded:
    """A view in which no text is taken for markup. Code stays as it is only in messages of the kinds `code_in`."""

    def __init__(self, view: View, page: Page, code_in: Collection[SpeechKind] = SPOKEN) -> None:
        self._view = view
        self._page = page
        self._code_in = code_in
        self._swallower = Swallower()
        self._names: dict[str, str] = {}
        self._marking: Marking | None = None  # of the open message
        self._is_whole = False

    def show(self, part: Part) -> Iterator[Shown]:
        if isinstance(part, Token):
            token = self._token(part)
            return iter(()) if token is None else self._view.show(token)
        return self._show_guarded(part)

    def channel(self, kind: SpeechKind) -> None:
        """No token is shown without a look at it."""

    def _show_guarded(self, part: Opened | Closed | EventPart) -> Iterator[Shown]:
        for guarded in self._guarded(part):
            yield from self._view.show(guarded)

    def _guarded(self, part: Opened | Closed | EventPart) -> Iterator[Part]:
        match part:
            case Opened():
                swallower = self._swallower if part.kind in self._code_in else Swallower(was_seen=True)
                self._marking = Marking(self._page, swallower, mid_line=is_beside_heading(part))
                self._is_whole = part.whole is not None
                yield replace(part, agent=self._name(part.agent))
            case Closed():
                name = self._name(part.agent)
                if rest := self._rest():
                    yield Token(name, rest, part.kind)
                yield replace(part, agent=name)
            case Routing():
                team_name = part.team_name and marked(part.team_name, self._page)
                content = marked(part.content, self._page)
                yield replace(part, agent=self._name(part.agent), content=content, team_name=team_name)
            case InputRequested():
                yield replace(part, agent=self._name(part.agent))
            case Dropped():
                self._swallower.was_seen = True  # the events that are gone may have said it
                yield part
            case Action() | ToolResult() | Error() | RunFinished():
                yield part
            case _:
                assert_never(part)

    def _token(self, token: Token) -> Token | None:
        """None if the marking holds back all of it."""
        if self._marking is None:
            return None
        text, name = self._marking.feed(token.content), self._name(token.agent)
        if self._is_whole:
            text += self._rest()
        if text is token.content and name == token.agent:
            return token
        return Token(name, text, token.kind) if text else None

    def _rest(self) -> str:
        """What the marking holds back of a message that ends now."""
        marking, self._marking = self._marking, None
        return "" if marking is None else marking.end()

    def _name(self, agent: str) -> str:
        if agent not in self._names:
            self._names[agent] = marked(agent, self._page)
        return self._names[agent]
