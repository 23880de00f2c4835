"""What a chat client is shown: text, in the answer or in the reasoning that a reader folds out."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from aiostream_server.events import Event, Token
from aiostream_server.present.parts import Part, Parts

Channel: TypeAlias = Literal["content", "reasoning"]


@dataclass(frozen=True, slots=True)
class Shown:
    """Text to append to a channel. A block must reach the client in one piece."""

    text: str
    channel: Channel = "content"
    is_block: bool = False


class Presenter(Protocol):
    """One viewer's view of a run. Feed it every event, in order, and send at once what it yields."""

    def show(self, event: Event) -> Iterator[Shown]: ...

    def overdue(self) -> Iterator[Shown]:
        """What waits for more that has not come for a while: a tool call without its result."""
        ...

    def continued(self, token: Token) -> Channel | None:
        """The channel to which the token's text is appended unchanged. The token counts as shown then.

        None for any other token: `show` it.
        """
        ...


class View(Protocol):
    """How parts look in one presentation."""

    def show(self, part: Part) -> Iterator[Shown]: ...

    def channel(self, token: Token) -> Channel | None:
        """The channel that shows this token of the open message unchanged, if there is one. The token counts as shown
        then."""
        ...


class PartsPresenter:
    """A presenter that shows a view of the run's parts. `overdue` is that of the innermost view."""

    __slots__ = ("_overdue", "_parts", "_view")

    def __init__(self, view: View, overdue: Callable[[], Iterator[Shown]]) -> None:
        self._parts = Parts()
        self._view = view
        self._overdue = overdue

    def show(self, event: Event) -> Iterator[Shown]:
        if isinstance(event, Token) and self._parts.is_open(event):
            return self._view.show(event)
        return self._show_parts(event)

    def _show_parts(self, event: Event) -> Iterator[Shown]:
        for part in self._parts.of(event):
            yield from self._view.show(part)

    def overdue(self) -> Iterator[Shown]:
        return self._overdue()

    def continued(self, token: Token) -> Channel | None:
        return self._view.channel(token) if self._parts.is_open(token) else None


class Paragraphs:
    """Separates text by blank lines."""

    __slots__ = ("_gap",)

    def __init__(self) -> None:
        self._gap = ""

    def begin(self, text: str, *, is_block: bool = False) -> Shown:
        gap, self._gap = self._gap, "\n\n"
        return Shown(gap + text, is_block=is_block)
