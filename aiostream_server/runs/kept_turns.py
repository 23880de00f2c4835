"""The turns of a conversation as they are kept: JSON rows of role and text, and of the calls and results of tools."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, TypeAlias

from aiostream_server.events import Answer, Entry, ToolRequested
from aiostream_server.intake.json_text import dump, load
from aiostream_server.intake.question import ToolCall, Turn

_KEPT_ROLES: Final = ("user", "assistant", "tool")
_FEWEST: Final = 2  # kept, however long they are

_Row: TypeAlias = Sequence[Any]  # role, text, and for tools: the calls of an assistant, or the id that a result answers


def answer_turn(entries: Sequence[Entry]) -> Turn:
    """The turn of the run with the whole log `entries`: its answer, or its calls of the client's tools."""
    said = [entry.event for entry in entries]
    text = next((event.content for event in reversed(said) if isinstance(event, Answer)), "")
    calls = [ToolCall(each.call_id, each.tool, each.arguments) for each in said if isinstance(each, ToolRequested)]
    return Turn("assistant", text, tool_calls=tuple(calls))


def packed_turns(turns: Iterable[Turn], most_bytes: int) -> bytes:
    """The newest turns that fit. System messages are left out: each question brings its own."""
    rows = [_row(turn) for turn in turns if turn.role in _KEPT_ROLES]
    while len(encoded := dump(rows)) > most_bytes and len(rows) > _FEWEST:
        rows = rows[len(rows) // 2 :]  # the newer half
    return encoded


def unpacked_turns(packed: bytes) -> tuple[Turn, ...]:
    """Without results of calls that were cut off. Raises `ValueError`, `TypeError` or `LookupError` for another
    format."""
    return tuple(_answering(map(_turn, load(packed))))


def _row(turn: Turn) -> _Row:
    if turn.tool_calls:
        return [turn.role, turn.text, [[call.call_id, call.name, call.arguments] for call in turn.tool_calls]]
    return [turn.role, turn.text] if turn.call_id is None else [turn.role, turn.text, turn.call_id]


def _turn(row: _Row) -> Turn:
    role, text, *more = row
    if not more:
        return Turn(role, text)
    if role == "tool":
        return Turn(role, text, call_id=more[0])
    return Turn(role, text, tool_calls=tuple(ToolCall(*call) for call in more[0]))


def _answering(turns: Iterable[Turn]) -> Iterator[Turn]:
    called: set[str | None] = set()
    for turn in turns:
        called |= {call.call_id for call in turn.tool_calls}
        if turn.role != "tool" or turn.call_id in called:
            yield turn
