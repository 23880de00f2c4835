"""Reasoning inside text is told from text, wherever the tags are cut."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.models.think import Spoken, ThinkSplitter


def split(*pieces: str) -> list[Spoken]:
    """The parts of a text that arrives in `pieces`; neighbours of one kind joined."""
    splitter = ThinkSplitter()
    parts = [part for piece in pieces for part in splitter.feed(TextDelta(piece))]
    return joined([*parts, *splitter.flush()])


def joined(parts: Sequence[Spoken]) -> list[Spoken]:
    result: list[Spoken] = []
    for part in parts:
        if result and type(result[-1]) is type(part):
            result[-1] = type(part)(result[-1].text + part.text)
        else:
            result.append(part)
    return result


TEXT, THOUGHT = TextDelta, ThoughtDelta

CASES = [
    ("plain", [TEXT("plain")]),
    ("<think>let me think</think>hello", [THOUGHT("let me think"), TEXT("hello")]),
    ("<think>\nwhy</think>\n\nBecause.\n", [THOUGHT("\nwhy"), TEXT("Because.\n")]),
    ("<think>a</think>\r\n\r\nb", [THOUGHT("a"), TEXT("b")]),
    ("<thinking>hm</thinking>yes", [THOUGHT("hm"), TEXT("yes")]),
    ("a<think>b</think>c<think>d</think>e", [TEXT("a"), THOUGHT("b"), TEXT("c"), THOUGHT("d"), TEXT("e")]),
    ("<think>never closed </thin", [THOUGHT("never closed </thin")]),
    ("<think>one</thinking> still</think>two", [THOUGHT("one</thinking> still"), TEXT("two")]),
    ("<think></think>", []),
    ("1 < 2 <thin", [TEXT("1 < 2 <thin")]),
    ("<thinker> </think>", [TEXT("<thinker> </think>")]),
    ("write `<think>` first", [TEXT("write `<think>` first")]),
    ("```\n<think>x</think>\n```\n<think>y</think>z", [TEXT("```\n<think>x</think>\n```\n"), THOUGHT("y"), TEXT("z")]),
    ("````\n```\n<think>\n````\n<think>y", [TEXT("````\n```\n<think>\n````\n"), THOUGHT("y")]),
    ("a `b` <think>c", [TEXT("a `b` "), THOUGHT("c")]),
    ("<think>`</think><think>a", [THOUGHT("`a")]),
    ("<<think>a", [TEXT("<"), THOUGHT("a")]),
]


@pytest.mark.parametrize(("text", "parts"), CASES)
def test_split(text: str, parts: Sequence[Spoken]) -> None:
    """Whole, and character by character."""
    assert split(text) == parts
    assert split(*text) == parts


words = st.sampled_from(
    ["<think>", "</think>", "<thinking>", "</thinking>", "`", "```", "````", "\n", "\r\n", "<", "é", "a b"]
)
texts = st.lists(st.one_of(words, st.text(alphabet="<>/think`\n g", max_size=4))).map("".join)


@given(text=texts, data=st.data())
def test_any_cutting_gives_the_same_split(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(*filter(None, pieces)) == split(*filter(None, [text]))


@given(text=texts)
def test_nothing_is_lost_but_tags_and_line_ends(text: str) -> None:
    """The parts, in order, are what is left of the text when tags and line ends are taken out."""
    rest = iter(text)
    assert all(character in rest for part in split(text) for character in part.text), "parts are a subsequence"
    lost = len(text) - sum(len(part.text) for part in split(text))
    tags = sum(text.count(tag) * len(tag) for tag in ("<think>", "</think>", "<thinking>", "</thinking>"))
    assert lost <= tags + text.count("\n") + text.count("\r")


@given(text=texts)
def test_deltas_are_never_empty(text: str) -> None:
    splitter = ThinkSplitter()
    parts = [part for character in text for part in splitter.feed(TextDelta(character))]
    assert all(part.text for part in [*parts, *splitter.flush()])


def test_text_without_tags_is_passed_through_as_it_is() -> None:
    """The usual token costs no copy."""
    delta = TextDelta("hello")
    assert ThinkSplitter().feed(delta)[0] is delta
