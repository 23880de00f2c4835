"""Which pieces of a call's arguments are told before the call is whole."""

from collections.abc import Sequence

from aiostream_server.models.live_arguments import CallPiece, LiveArguments
from aiostream_server.models.provider import CallDelta, Delta, TextDelta

NAMES = {"wire_query": "query", "add": "add"}


def told(*batches: Sequence[Delta], most: int | None = None) -> list[CallPiece]:
    live = LiveArguments(NAMES, most)
    return [piece for batch in batches for piece in live.pieces(batch)]


def piece(arguments: str, index: int = 0, call_id: str = "", name: str = "") -> CallDelta:
    return CallDelta(index, call_id, name, arguments)


def test_pieces_are_told_from_the_second_on_by_the_tools_own_name() -> None:
    begun = [piece("", call_id="c", name="wire_query")], [piece('{"a"')], [TextDelta("so")]
    assert told(*begun) == []
    assert told(*begun, [piece(": 1"), piece("}")]) == [("c", "query", '{"a": 1}')]
    assert told(*begun, [piece(": 1")], [piece("}")]) == [("c", "query", '{"a": 1'), ("c", "query", "}")]


def test_calls_side_by_side_are_kept_apart() -> None:
    one, two = piece("{", 0, "c", "add"), piece("[", 1, "d", "wire_query")
    assert told([one, two], [piece("}", 0), piece("]", 1)]) == [("c", "add", "{}"), ("d", "query", "[]")]
    assert told([one, two], [piece("}", 0), piece("]", 1)], most=1) == [("c", "add", "{}")]


def test_a_call_that_will_be_told_otherwise_is_not_told_before() -> None:
    """Without an id it gets one later, as the second one with the same id; a name that none has is made regular."""
    for begun in (piece("{", 0, "", "add"), piece("{", 0, "c", "Add"), piece("{", 0, "c", "")):
        assert told([begun], [piece("}", 0, "c", "add")]) == []
    assert told([piece("{}", 0, "c", "add")], [piece("{", 1, "c", "add")], [piece("}", 1)]) == []
