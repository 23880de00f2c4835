"""A view for a page that renders Markdown and HTML: escapes all text of agents (`escaping`).

Tool calls and results pass unchanged, because `blocks` escapes them.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Final, assert_never

from aiostream_server.events import (
    SPEECHES,
    Action,
    ActionToken,
    Dropped,
    Error,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    SpeechKind,
    Token,
    ToolRequested,
    ToolResult,
)
from aiostream_server.present.artifacts import ArtifactGuard
from aiostream_server.present.escaping import CodeTrust, Escaper, Page, escaped_line
from aiostream_server.present.parts import Closed, EventPart, Opened, Part
from aiostream_server.present.shown import Shown, View
from aiostream_server.present.transcript import is_beside_heading

ANSWERED: Final[frozenset[SpeechKind]] = frozenset({"final"})
SPOKEN: Final[frozenset[SpeechKind]] = frozenset(SPEECHES)


class EscapedView:
    """Escapes the parts for another view. Fenced code stays unchanged only in messages of the kinds `code_in`."""

    def __init__(self, view: View, page: Page, code_in: Collection[SpeechKind] = SPOKEN) -> None:
        self._view = view
        self._page = page
        self._code_in = code_in
        self._trust = CodeTrust()
        self._names: dict[str, str] = {}
        self._escaper: Escaper | None = None  # of the open message
        self._guard = ArtifactGuard()
        self._is_whole = False

    def show(self, part: Part) -> Iterator[Shown]:
        if isinstance(part, Token):
            token = self._token(part)
            return iter(()) if token is None else self._view.show(token)
        if isinstance(part, ActionToken):
            return iter(())  # the whole call is shown
        return self._show_escaped(part)

    def channel(self, token: Token) -> None:
        """None: every token is escaped."""

    def _show_escaped(self, part: Opened | Closed | EventPart) -> Iterator[Shown]:
        for guarded in self._escaped(part):
            yield from self._view.show(guarded)

    def _escaped(self, part: Opened | Closed | EventPart) -> Iterator[Part]:
        match part:
            case Opened():
                trust = self._trust if part.kind in self._code_in else CodeTrust(is_lost=True)
                self._escaper = Escaper(self._page, trust, mid_line=is_beside_heading(part))
                self._is_whole = part.whole is not None
                yield replace(part, agent=self._name(part.agent))
            case Closed():
                name = self._name(part.agent)
                if rest := self._rest():
                    yield Token(name, rest, part.kind)
                yield replace(part, agent=name)
            case Routing():
                team_name = part.team_name and escaped_line(part.team_name, self._page)
                content = escaped_line(part.content, self._page)
                yield replace(part, agent=self._name(part.agent), content=content, team_name=team_name)
            case InputRequested():
                yield replace(part, agent=self._name(part.agent))
            case Notice():
                content = escaped_line(part.content, self._page)
                yield replace(part, agent=self._name(part.agent), content=content)
            case Dropped():
                self._trust.is_lost = True  # the dropped events may have swallowed a fence
                yield part
            case Restarted():
                self._trust.is_lost = True  # a message was broken off, perhaps inside of a fence
                yield replace(part, content=escaped_line(part.content, self._page))
            case Action() | ToolResult() | ToolRequested() | Error() | RunFinished():
                yield part
            case _:
                assert_never(part)

    def _token(self, token: Token) -> Token | None:
        """None if the escaper holds back all of it."""
        if self._escaper is None:
            return None
        text, name = self._escaper.feed(token.content), self._name(token.agent)
        if not self._page.artifacts:
            text = self._guard.feed(text)
        if self._is_whole:
            text += self._rest()
        if text is token.content and name == token.agent:
            return token
        return Token(name, text, token.kind) if text else None

    def _rest(self) -> str:
        """What the escaper holds back of a message that ends now."""
        escaper, self._escaper = self._escaper, None
        if escaper is None or self._page.artifacts:
            return "" if escaper is None else escaper.end()
        return self._guard.feed(escaper.end()) + self._guard.end()

    def _name(self, agent: str) -> str:
        if agent not in self._names:
            self._names[agent] = escaped_line(agent, self._page)
        return self._names[agent]
