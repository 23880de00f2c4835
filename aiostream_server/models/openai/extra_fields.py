"""What an answer brings beside its text and tool calls, put together from its pieces, to be sent back with it.

Services want these fields back unchanged: Gemini's signatures (`tool_calls[].extra_content`), the `reasoning_content`
of DeepSeek and Kimi, OpenRouter's `reasoning_details`, LiteLLM's `thinking_blocks`, and what others will add.

* https://ai.google.dev/gemini-api/docs/thought-signatures: a signature stands whole in one piece.
* https://openrouter.ai/docs/use-cases/reasoning-tokens: text in pieces; an item continues that of its index and type.
* https://docs.litellm.ai/docs/reasoning_content: a piece is a block with some of its text; the last has the signature.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from aiostream_server.models.openai.chunks import EXTRA, Function, ProviderDelta, ToolCallPiece
from aiostream_server.models.provider import ExtraFields

_Json: TypeAlias = Any  # an unchecked JSON value
_Object: TypeAlias = dict[str, Any]

_MAX_CHARACTERS: Final = 1024**2  # of one answer; of more, nothing is sent back
_OPEN_ITEMS: Final = 64  # that a piece may continue: of many more, a search would block the event loop
_REPEATED: Final = 32  # characters: so long a piece that comes again is a repetition
_OF_EACH_TOKEN: Final = ("reasoning_details", "thinking_blocks", "provider_specific_fields")
_WHOLE: Final = frozenset({"id", "index", "type", "format", "name", "role", "signature", "thought_signature", "data"})


def set_apart(chunk: _Json) -> _Json:
    """The chunk with the fields that `chunks` does not know under `EXTRA`, where `decode_chunk` refused it."""
    for choice in _objects(_member(chunk, "choices")):
        for name in ("delta", "message"):
            if isinstance(message := choice.get(name), dict):
                for call in _objects(message.get("tool_calls")):
                    _set_apart_of_call(call)
                if extra := _taken(message, ProviderDelta):
                    message[EXTRA] = extra
    return chunk


class ExtraFieldsReader:
    """Reads the pieces of one answer."""

    __slots__ = ("_calls", "_left", "_message", "_reasoning")

    def __init__(self) -> None:
        self._message: _Object = {}
        self._calls: dict[int, _Object] = {}
        self._reasoning: dict[str, list[str]] = {}
        self._left = _MAX_CHARACTERS

    def read(self, delta: ProviderDelta) -> None:
        """Read one piece. Call it for every piece that holds more than text."""
        if delta.reasoning_content:
            self.read_reasoning("reasoning_content", delta.reasoning_content)
        if delta.reasoning:
            self.read_reasoning("reasoning", delta.reasoning)
        if delta.reasoning_details or delta.thinking_blocks or delta.provider_specific_fields:
            for name in _OF_EACH_TOKEN:
                if value := getattr(delta, name):
                    self._add(self._message, {name: value})
        if delta.extra:
            self._add(self._message, delta.extra)

    def read_reasoning(self, name: str, text: str) -> None:
        self._reasoning.setdefault(name, []).append(text)

    def read_call(self, number: int, extra: _Object) -> None:
        self._add(self._calls.setdefault(number, {}), extra)

    def fields(self) -> ExtraFields | None:
        """All that came. None: nothing, or too much."""
        if self._left < 0:
            return None
        reasoning = {name: "".join(pieces) for name, pieces in self._reasoning.items()}
        message = reasoning | {name: _joined(value) for name, value in self._message.items()}
        calls = {number: fields for number, extra in self._calls.items() if (fields := _joined(extra))}
        return ExtraFields(message, calls) if message or calls else None

    def _add(self, fields: _Object, extra: _Object) -> None:
        try:
            self._left -= _characters(extra)
        except RecursionError:  # nested deeper than Python follows
            self._left = -1
        if self._left >= 0:
            _merge(fields, extra)


def _set_apart_of_call(call: _Object) -> None:
    function = call.get("function")
    of_function = _taken(function, Function) if isinstance(function, dict) else {}
    extra = _taken(call, ToolCallPiece) | ({"function": of_function} if of_function else {})
    if extra:
        call[EXTRA] = extra


def _taken(fields: _Object, known: type[ProviderDelta | ToolCallPiece | Function]) -> _Object:
    """The unknown fields, removed; empty ones are dropped."""
    names = [name for name in fields if name not in known.__struct_encode_fields__ or name in _OF_EACH_TOKEN]
    unknown = {name: fields.pop(name) for name in names}
    return {name: value for name, value in unknown.items() if value not in (None, "", [], {})}


class _Text(list[str]):
    """A text in its pieces: adding to a long string would copy it each time."""


def _merge(fields: _Object, extra: Mapping[str, _Json]) -> None:
    for name, value in extra.items():
        if value is not None:
            fields[name] = _merged(name, fields.get(name), value)


def _merged(name: str, old: _Json, new: _Json) -> _Json:
    match old, new:
        case dict(), dict():
            _merge(old, new)
            return old
        case list(), list() if not isinstance(old, _Text):
            for item in new:
                _add_item(old, item)
            return old
        case str() | _Text(), str():
            return _continued(name, old, new)
        case None, list():
            return _merged(name, [], new)
        case None, dict():
            return _merged(name, {}, new)
    return new


def _continued(name: str, old: str | _Text, new: str) -> str | _Text:
    if not new or (old == new and len(new) >= _REPEATED):
        return old
    if not old or name in _WHOLE:
        return new
    if isinstance(old, str):
        return _Text((old, new))
    old.append(new)
    return old


def _add_item(items: list[_Json], item: _Json) -> None:
    """Add an item, or the next piece of one."""
    if isinstance(item, dict):
        known = (one for one in reversed(items[-_OPEN_ITEMS:]) if isinstance(one, dict))
        if "index" not in item:
            known = (one for one in items[-1:] if isinstance(one, dict))
        if (begun := next((one for one in known if _continues(item, one)), None)) is not None:
            _merge(begun, item)
            return
        item = _merged("", {}, item)
    items.append(item)


def _continues(item: _Object, begun: _Object) -> bool:
    """Whether `item` is a piece of the same block. A block ends with its signature; encrypted data is never cut."""
    if "type" not in begun or item.get("type", begun["type"]) != begun["type"] or item.get("data"):
        return False
    if any(key in item and key in begun and item[key] not in (None, begun[key]) for key in ("index", "id")):
        return False
    return "index" in item or not (begun.get("signature") or begun.get("data"))


def _joined(value: _Json) -> _Json:
    match value:
        case _Text():
            return "".join(value)
        case dict():
            # Gemini marks the pieces of its thoughts so; the whole message is none.
            return {name: _joined(item) for name, item in value.items() if (name, item) != ("thought", True)}
        case list():
            return [_joined(item) for item in value]
    return value


def _characters(value: _Json) -> int:
    match value:
        case str():
            return len(value)
        case dict():
            return sum(len(name) + _characters(item) for name, item in value.items())
        case list():
            return sum(map(_characters, value))
    return 1


def _member(value: _Json, name: str) -> _Json:
    return value.get(name) if isinstance(value, dict) else None


def _objects(value: _Json) -> Sequence[_Object]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else ()
