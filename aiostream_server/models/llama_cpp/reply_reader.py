"""Reads a reply that a grammar constrains to JSON, while it streams.

`{"tool": name, "arguments": {...}}` is a tool call, `{"answer": "..."}` is text. Each piece is passed on as it arrives,
with its escapes decoded. A reply that does not begin like JSON is passed on as text.
"""

from collections.abc import Callable, Sequence
from string import hexdigits
from typing import Final
from uuid import uuid4

from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta

_ESCAPES: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_SPACE: Final = " \t\r\n"
_UNREADABLE: Final = "\ufffd"
_WHOLE_ESCAPE: Final = 5  # uXXXX
_HEX_DIGITS: Final = frozenset(hexdigits)


class ReplyReader:
    """Reads one reply. A string answer is decoded; an answer of any other type stays JSON."""

    def __init__(self) -> None:
        self._read_next: Callable[[str], None] = self._begin
        self._string = _String(self._add_to_key)
        self._key = ""
        self._tool = ""
        self._depth = 0
        self._is_in_string = False
        self._is_escaped = False
        self._said: list[Delta] = []
        self._has_called = False

    def read(self, batch: Sequence[Delta]) -> list[Delta]:
        """The deltas that the batch stands for."""
        self._said = []
        for delta in batch:
            if isinstance(delta, TextDelta):
                for character in delta.text:
                    self._read_next(character)
            elif isinstance(delta, End) and self._has_called and delta.finish_reason == "stop":
                self._said.append(End("function_calls", delta.usage, delta.logprobs))
            else:
                self._said.append(delta)
        return self._said

    # Each of these states reads one character and chooses the next state.

    def _begin(self, character: str) -> None:
        if character == "{":
            self._read_next = self._before_key
        elif character not in _SPACE:
            self._read_next = self._say
            self._say(character)

    def _before_key(self, character: str) -> None:
        if character == '"':
            self._key = ""
            self._read_string(self._add_to_key)
        elif character == "}":
            self._read_next = _ignore

    def _before_value(self, character: str) -> None:
        if character in _SPACE or character == ":":
            return
        if character == '"' and self._key in ("answer", "tool"):
            self._read_string(self._say if self._key == "answer" else self._add_to_tool)
        else:
            self._depth, self._read_next = 0, self._in_value
            self._in_value(character)

    def _in_string(self, character: str) -> None:
        if not self._string.read(character):
            return
        if self._string.take == self._add_to_key:
            self._read_next = self._before_value
            return
        if self._key == "tool":
            self._has_called = True
            self._said.append(CallDelta(0, f"call_{uuid4().hex}", self._tool))
        self._read_next = self._before_key

    def _in_value(self, character: str) -> None:
        """Inside a value that is passed on as JSON."""
        if self._is_in_string:
            self._is_in_string = self._is_escaped or character != '"'
            self._is_escaped = character == "\\" and not self._is_escaped
        elif self._depth == 0 and character in ",}":  # the end of a number or a literal
            self._read_next = self._before_key
            self._before_key(character)
            return
        elif character == '"':
            self._is_in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
        self._give(character)
        if character in '"}]' and self._depth == 0 and not self._is_in_string:
            self._read_next = self._before_key

    def _read_string(self, take: Callable[[str], None]) -> None:
        self._string = _String(take)
        self._read_next = self._in_string

    def _add_to_key(self, piece: str) -> None:
        self._key += piece

    def _add_to_tool(self, piece: str) -> None:
        self._tool += piece

    def _give(self, piece: str) -> None:
        if self._key == "answer":
            self._say(piece)
        elif self._key == "arguments":
            last = self._said[-1] if self._said else None
            if isinstance(last, CallDelta) and not last.call_id:
                self._said[-1] = CallDelta(0, arguments=last.arguments + piece)
            else:
                self._said.append(CallDelta(0, arguments=piece))

    def _say(self, piece: str) -> None:
        last = self._said[-1] if self._said else None
        if isinstance(last, TextDelta):
            self._said[-1] = TextDelta(last.text + piece)
        else:
            self._said.append(TextDelta(piece))


class _String:
    """A JSON string behind its first quote: passes its decoded characters to `take`, one at a time."""

    def __init__(self, take: Callable[[str], None]) -> None:
        self.take: Final = take
        self._escape: str | None = None  # the characters of an incomplete escape
        self._first_half = 0  # the first half of a surrogate pair

    def read(self, character: str) -> bool:
        """Read a character; whether it ends the string."""
        if self._escape is not None:
            self._read_escape(self._escape + character)
        elif character == "\\":
            self._escape = ""
        else:
            self._give_up_half()
            if character == '"':
                return True
            self.take(character)
        return False

    def _read_escape(self, escape: str) -> None:
        self._escape = escape
        if escape[0] != "u":
            self._give_up_half()
            self.take(_ESCAPES.get(escape, escape))
            self._escape = None
        elif len(escape) == _WHOLE_ESCAPE:
            self._take_unit(int(escape[1:], 16) if _HEX_DIGITS.issuperset(escape[1:]) else 0xFFFD)
            self._escape = None

    def _take_unit(self, unit: int) -> None:
        first, self._first_half = self._first_half, 0
        if first and 0xDC00 <= unit < 0xE000:
            self.take(chr(0x10000 + ((first - 0xD800) << 10) + (unit - 0xDC00)))
            return
        if first:
            self.take(_UNREADABLE)
        if 0xD800 <= unit < 0xDC00:
            self._first_half = unit
        else:
            self.take(_UNREADABLE if 0xDC00 <= unit < 0xE000 else chr(unit))

    def _give_up_half(self) -> None:
        if self._first_half:
            self._first_half = 0
            self.take(_UNREADABLE)


def _ignore(_: str) -> None:
    """Discards characters behind the reply."""
