"""Tool calls, as their pieces come: which call each piece belongs to, its id and name given out once.

OpenAI numbers calls by `index` and says id and name in the first piece only. Others leave the index out (Gemini),
number every call 0 (Ollama: ollama/ollama#15457), with empty ids at that (proxies of Gemini), make up a new id for each
piece (older vLLM), or repeat the name in each. So a new call begins where a name comes with a new id; and, where there
are no ids to tell by, where a name comes without an index, or behind arguments that are whole.
"""

from dataclasses import dataclass, field

import msgspec

from aiostream_server.models.openai.chunks import Function, ToolCall
from aiostream_server.models.provider import CallDelta

_EMPTY = Function()


@dataclass(slots=True)
class _Begun:
    number: int
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def is_whole(self) -> bool:
        """Whether its arguments are complete: a JSON object."""
        try:
            msgspec.json.decode("".join(self.arguments), type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class CallReader:
    """Numbers the calls of one answer 0, 1, 2 ... in the order in which they begin."""

    __slots__ = ("_by_index", "_count", "_last")

    def __init__(self) -> None:
        self._count = 0
        self._last: _Begun | None = None
        self._by_index: dict[int, _Begun] = {}

    def read(self, piece: ToolCall) -> CallDelta:
        function = piece.function or _EMPTY
        call_id, name, arguments = piece.id or "", function.name or "", _json(function.arguments)
        begun = self._last if piece.index is None else self._by_index.get(piece.index)
        if begun is None or _begins_another(begun, piece.index, call_id, name, arguments):
            begun = self._begin(piece.index)
        self._last = begun
        new_id = call_id if not begun.call_id else ""
        new_name = name if name != begun.name else ""
        begun.call_id += new_id
        begun.name += new_name
        begun.arguments.append(arguments)
        return CallDelta(begun.number, new_id, new_name, arguments)

    def _begin(self, index: int | None) -> _Begun:
        begun = _Begun(self._count)
        self._count += 1
        if index is not None:
            self._by_index[index] = begun
        return begun


def _begins_another(begun: _Begun, index: int | None, call_id: str, name: str, arguments: str) -> bool:
    if not (name and begun.name):
        return False
    if call_id and begun.call_id:
        return call_id != begun.call_id
    return index is None or (bool(arguments) and begun.is_whole())


def _json(arguments: str | dict[str, object] | None) -> str:
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""
