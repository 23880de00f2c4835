"""What a presenter makes of events."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from aiostream_server.events import Event, Token

Channel: TypeAlias = Literal["content", "reasoning"]


@dataclass(frozen=True, slots=True)
class Shown:
    """Text to append to what the client shows: in the answer itself, or in its fold-away reasoning.

    A block must reach the client in one piece.
    """

    text: str
    channel: Channel = "content"
    is_block: bool = False


class Presenter(Protocol):
    """One viewer's view. Feed it every event of a run, in order, and send what it yields at once."""

    def show(self, event: Event) -> Iterator[Shown]: ...

    def continued(self, token: Token) -> Channel | None:
        """Where `show` would append the token's text as it is and change nothing else, so that it need not be asked.
        None where it has to be: always right, and never wrong."""
        ...
