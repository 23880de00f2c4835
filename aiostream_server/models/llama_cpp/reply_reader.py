"""Reads a reply that a grammar constrains to JSON, while it streams.

`{"tool": name, "arguments": {...}}` is a tool call, `{"answer": "..."}` is text. Each piece is passed on as it arrives,
with its escapes decoded. A reply that does not begin like JSON is passed on as text.
"""

import json
import re
from collections.abc import Callable, Sequence
from typing import Final
from uuid import uuid4

from aiostream_server.models.openai.messages import without_surrogates
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta

_KEY: Final = re.compile(r'[{,\s]*"((?:[^"\\]|\\.)*)"\s*:\s*(?=\S)')
# Whole characters of a string: an escape that may be cut is not one, nor the first half of a surrogate pair.
_CHARACTERS: Final = re.compile(
    r'(?:[^"\\]|\\["\\/bfnrt]|\\u(?![dD][89abAB])[\da-fA-F]{4}'
    r"|\\u[dD][89abAB][\da-fA-F]{2}(?=[^\\]|\\[^u]|\\u[\da-fA-F]{4}))*"
)
_decoder: Final = json.JSONDecoder(strict=False)


class ReplyReader:
    """Reads one reply. A string answer is decoded; an answer of any other type stays JSON."""

    def __init__(self) -> None:
        self._read_next: Callable[[list[Delta]], bool] = self._begin
        self._unread = ""
        self._key = ""
        self._value = ""  # the beginning of an array or object that has been passed on
        self._has_called = False

    def read(self, batch: Sequence[Delta]) -> list[Delta]:
        """The deltas that the batch stands for."""
        said: list[Delta] = []
        for delta in batch:
            if isinstance(delta, TextDelta):
                self._unread += delta.text
                while self._read_next(said):
                    pass
            elif isinstance(delta, End) and self._has_called and delta.finish_reason == "stop":
                said.append(End("function_calls", delta.usage, delta.logprobs))
            else:
                said.append(delta)
        return said

    # Each of these states reads what it can, chooses the next state, and returns whether that may read on.

    def _begin(self, _: list[Delta]) -> bool:
        self._unread = self._unread.lstrip()
        if self._unread:
            self._read_next = self._read_key if self._unread.startswith("{") else self._read_plain
        return bool(self._unread)

    def _read_plain(self, said: list[Delta]) -> bool:
        if self._unread:
            said.append(TextDelta(self._unread))
        self._unread = ""
        return False

    def _read_key(self, _: list[Delta]) -> bool:
        found = _KEY.match(self._unread)
        if found is None:
            return False
        self._key, self._unread = found[1], self._unread[found.end() :]
        self._read_next = self._read_value
        if self._key == "answer" and self._unread.startswith('"'):
            self._read_next, self._unread = self._read_answer, self._unread[1:]
        return True

    def _read_answer(self, said: list[Delta]) -> bool:
        found = _CHARACTERS.match(self._unread)
        if found and found[0]:
            said.append(TextDelta(without_surrogates(_decoder.decode(f'"{found[0]}"'))))
            self._unread = self._unread[found.end() :]
        if not self._unread.startswith('"'):
            return False
        self._read_next, self._unread = self._read_key, self._unread[1:]
        return True

    def _read_value(self, said: list[Delta]) -> bool:
        """Pass an array or object on as it arrives, and any other value when it is whole."""
        text = self._value + self._unread
        can_stream = text.startswith(("{", "["))
        end = 0 if can_stream and not ("}" in self._unread or "]" in self._unread) else _end_of_value(text)
        if not end:
            if can_stream:
                self._give(self._unread, said)
                self._value, self._unread = text, ""
            return False
        self._give(text[len(self._value) : end], said)
        self._read_next, self._value, self._unread = self._read_key, "", text[end:]
        return True

    def _give(self, piece: str, said: list[Delta]) -> None:
        if not piece:
            return
        if self._key == "answer":
            said.append(TextDelta(piece))
        elif self._key == "arguments":
            said.append(CallDelta(0, arguments=piece))
        elif self._key == "tool":
            self._has_called = True
            said.append(CallDelta(0, f"call_{uuid4().hex}", without_surrogates(str(_decoder.decode(piece)))))


def _end_of_value(text: str) -> int:
    """The position behind the JSON value; 0 if its end is not there, which of a number the next character shows."""
    try:
        _, end = _decoder.raw_decode(text)
    except (ValueError, RecursionError):
        return 0
    return end if end < len(text) or text[-1] in '"]}' else 0
