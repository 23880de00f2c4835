"""Numbers the tool calls of one answer, whatever a provider does with `index` and `id`, and bounds them.

OpenAI numbers calls by `index` and gives id and name in the first piece only. Gemini omits the index, Ollama numbers
every call 0 (ollama/ollama#15457), some proxies send empty ids, older vLLM sends a new id with each piece, others
repeat the name. So a new call begins at a name with a new id; without ids, at a name without an index or behind
complete arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.chunks import Function, ToolCallPiece
from aiostream_server.models.provider import CallDelta

MAX_CALLS: Final = 128  # OpenAI takes no more of them back: openai/openai-dotnet#317
MAX_CHARACTERS: Final = 2 * 1024**2  # of all calls together; the longest outputs of models are below 1 MiB
_MAX_REPEATED_BYTES: Final = 64 * 1024  # longer arguments are not searched for their end

_EMPTY: Final = Function()


@dataclass(slots=True)
class _BegunCall:
    number: int
    call_id: str = ""
    name: str = ""
    size: int = 0
    arguments: list[str] = field(default_factory=list)

    def is_whole(self) -> bool:
        """Whether the arguments are a complete JSON object."""
        if self.size > _MAX_REPEATED_BYTES or not self.arguments[-1].rstrip().endswith("}"):
            return False
        try:
            msgspec.json.decode("".join(self.arguments), type=dict[str, msgspec.Raw])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return True


class ToolCallNumbering:
    """Numbers the calls of one answer 0, 1, 2 ... in the order in which they begin."""

    __slots__ = ("_by_index", "_fail", "_last", "_size", "count")

    def __init__(self, fail: Callable[[str], ModelFailed]) -> None:
        """`fail` words the failure of a provider that goes past a bound."""
        self._fail = fail
        self.count = 0
        self._size = 0
        self._last: _BegunCall | None = None
        self._by_index: dict[int, _BegunCall] = {}

    def read(self, piece: ToolCallPiece) -> CallDelta:
        """Raises `ModelFailed` past `MAX_CALLS` or `MAX_CHARACTERS`."""
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
        self._size += len(new_id) + len(new_name) + len(arguments)
        if self._size > MAX_CHARACTERS:
            raise self._fail(f"sent more than {MAX_CHARACTERS // 1024**2} MiB of tool calls")
        if arguments:
            begun.size += len(arguments)
            begun.arguments.append(arguments)
        return CallDelta(begun.number, new_id, new_name, arguments)

    def _begin(self, index: int | None) -> _BegunCall:
        if self.count == MAX_CALLS:
            raise self._fail(f"called tools more than {MAX_CALLS} times in one answer")
        begun = _BegunCall(self.count)
        self.count += 1
        if index is not None:
            self._by_index[index] = begun
        return begun


def _begins_another(begun: _BegunCall, index: int | None, call_id: str, name: str, arguments: str) -> bool:
    if not (name and begun.name):
        return False
    if call_id and begun.call_id:
        return call_id != begun.call_id
    return index is None or bool(arguments and begun.arguments and begun.is_whole())


def _json(arguments: str | dict[str, object] | None) -> str:
    if isinstance(arguments, dict):
        return msgspec.json.encode(arguments).decode()
    return arguments or ""
