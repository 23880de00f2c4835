"""The arguments of tool calls while the model writes them: the pieces of one answer's calls, for a run's sink.

Only of calls that will be told as they are shown here: with an id and the name of an offered tool, which came before
their arguments. A call that comes in one piece is whole at once: nothing is told of it here.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiostream_server.models.provider import CallDelta, Delta


class CallPiece(NamedTuple):
    """Text to append to the arguments of a call."""

    call_id: str
    tool: str
    text: str


@dataclass(slots=True)
class _WrittenCall:
    call_id: str = ""
    name: str = ""
    pieces: int = 0
    untold: str = ""
    is_known: bool = False


class LiveArguments:
    """The arguments of one answer's calls. `names` maps the names that the provider gets to the tools' own.

    Calls beyond the first `most` are ignored.
    """

    __slots__ = ("_begun", "_most", "_names")

    def __init__(self, names: Mapping[str, str], most: int | None) -> None:
        self._names: Final = names
        self._most: Final = most
        self._begun: Final[dict[int, _WrittenCall]] = {}

    def pieces(self, batch: Sequence[Delta]) -> Iterator[CallPiece]:
        """What a batch adds, joined for each call."""
        changed: dict[int, _WrittenCall] = {}
        for delta in batch:
            if isinstance(delta, CallDelta) and (self._most is None or delta.index < self._most):
                changed[delta.index] = self._add(delta)
        for begun in changed.values():
            if begun.is_known and begun.pieces > 1 and begun.untold:
                text, begun.untold = begun.untold, ""
                yield CallPiece(begun.call_id, self._names[begun.name], text)

    def _add(self, delta: CallDelta) -> _WrittenCall:
        begun = self._begun.setdefault(delta.index, _WrittenCall())
        if not begun.pieces:
            begun.call_id += delta.call_id
            begun.name += delta.name
        if delta.arguments:
            if not begun.pieces:
                taken = (other.call_id for other in self._begun.values() if other is not begun)
                begun.is_known = begun.name in self._names and bool(begun.call_id) and begun.call_id not in taken
            begun.pieces += 1
            if begun.is_known:
                begun.untold += delta.arguments
        return begun
