"""White space around thoughts and before text opens no message."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.models.spacing import Spacing
from aiostream_server.models.think import Spoken

TEXT, THOUGHT = TextDelta, ThoughtDelta


def shown(*parts: Spoken) -> list[Spoken]:
    spacing = Spacing()
    return [part for one in parts for part in spacing.shown([one])]


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([THOUGHT("\n\n"), TEXT("Hello.")], [TEXT("Hello.")]),
        ([THOUGHT("\n"), THOUGHT(" \na"), THOUGHT("b.\n"), TEXT("c")], [THOUGHT("a"), THOUGHT("b."), TEXT("c")]),
        ([THOUGHT("a\n"), THOUGHT("\n"), TEXT("b")], [THOUGHT("a"), TEXT("b")]),
        ([THOUGHT("a "), THOUGHT("\n"), THOUGHT(" b")], [THOUGHT("a"), THOUGHT(" \n b")]),
        ([THOUGHT("a"), TEXT("\n\n"), TEXT(" \n  b")], [THOUGHT("a"), TEXT("  b")]),
        ([THOUGHT("a"), TEXT(" b")], [THOUGHT("a"), TEXT("b")]),
        ([TEXT("a"), THOUGHT("b"), TEXT(" c")], [TEXT("a"), THOUGHT("b"), TEXT(" c")]),
        ([TEXT("a"), THOUGHT("\n"), TEXT("\n\nb")], [TEXT("a"), TEXT("\n\nb")]),
        ([TEXT("  "), TEXT("  a"), TEXT(" "), TEXT("b")], [TEXT("    a"), TEXT(" "), TEXT("b")]),
        ([TEXT(" "), TEXT("\n")], []),
        ([THOUGHT("a"), TEXT("\n"), THOUGHT("b"), TEXT("\n")], [THOUGHT("a"), THOUGHT("b")]),
    ],
)  # fmt: skip
def test_white_space(parts: Sequence[Spoken], left: Sequence[Spoken]) -> None:
    assert shown(*parts) == left


pieces = st.text("a \n", min_size=1, max_size=3)


@given(st.lists(st.one_of(pieces.map(TextDelta), pieces.map(ThoughtDelta))))
def test_only_white_space_is_dropped_and_no_message_begins_with_none(parts: Sequence[Spoken]) -> None:
    left = shown(*parts)
    assert all(part.text for part in left)
    for kind in (TextDelta, ThoughtDelta):
        words = ["".join("".join(part.text for part in some if type(part) is kind).split()) for some in (parts, left)]
        assert words[0] == words[1]
    for before, part in zip([None, *left], left, strict=False):
        assert type(before) is type(part) or not part.text.isspace()
