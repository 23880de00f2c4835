"""Reasoning inside text is told from text, wherever the tags are cut."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.models.think import LoneClosingTag, Split, ThinkSplitter, split_whole


def split(*pieces: str, closing_tag: str = "") -> list[Split]:
    """The parts of a text that arrives in `pieces`; neighbours of one kind joined."""
    splitter = ThinkSplitter(closing_tag)
    parts = [part for piece in pieces for part in splitter.feed(TextDelta(piece))]
    return joined([*parts, *splitter.flush()])


def joined(parts: Sequence[Split]) -> list[Split]:
    result: list[Split] = []
    for part in parts:
        last = result[-1] if result else None
        if isinstance(part, TextDelta) and isinstance(last, TextDelta):
            result[-1] = TextDelta(last.text + part.text)
        elif isinstance(part, ThoughtDelta) and isinstance(last, ThoughtDelta):
            result[-1] = ThoughtDelta(last.text + part.text)
        else:
            result.append(part)
    return result


def text_of(part: Split) -> str:
    return "" if isinstance(part, LoneClosingTag) else part.text


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
    ("<thinker> </think>", [TEXT("<thinker> "), LoneClosingTag("</think>")]),
    ("write `<think>` first", [TEXT("write `<think>` first")]),
    ("```\n<think>x</think>\n```\n<think>y</think>z", [TEXT("```\n<think>x</think>\n```\n"), THOUGHT("y"), TEXT("z")]),
    ("````\n```\n<think>\n````\n<think>y", [TEXT("````\n```\n<think>\n````\n"), THOUGHT("y")]),
    ("a `b` <think>c", [TEXT("a `b` "), THOUGHT("c")]),
    ("<think>`</think><think>a", [THOUGHT("`a")]),
    ("<<think>a", [TEXT("<"), THOUGHT("a")]),
    ("Hm.\n</think>\n\nHello.", [TEXT("Hm.\n"), LoneClosingTag("</think>"), TEXT("Hello.")]),
    ("Hm.</thinking>Hello.", [TEXT("Hm."), LoneClosingTag("</thinking>"), TEXT("Hello.")]),
    ("</think>Hello.", [LoneClosingTag("</think>"), TEXT("Hello.")]),
    ("a</think>b</think>\nc", [TEXT("a"), LoneClosingTag("</think>"), TEXT("bc")]),
    ("<think>a</think>b</think>\nc", [THOUGHT("a"), TEXT("bc")]),
    ("write `</think>` last", [TEXT("write `</think>` last")]),
    ("```\n</think>\n```\nHm.</think>a", [TEXT("```\n</think>\n```\nHm."), LoneClosingTag("</think>"), TEXT("a")]),
    ("1 </ 2 </thin", [TEXT("1 </ 2 </thin")]),
]

BEGUN_BY_THE_TEMPLATE = [
    ("Hm.\n</think>\n\nHello.", [THOUGHT("Hm.\n"), TEXT("Hello.")]),
    ("Hm. ```\n<think></think>Hello.", [THOUGHT("Hm. ```\n<think>"), TEXT("Hello.")]),
    ("\n<think>Hm.</think>Hello.", [THOUGHT("Hm."), TEXT("Hello.")]),
    ("<thinking>Hm.</think></thinking>Hello.", [THOUGHT("Hm.</think>"), TEXT("Hello.")]),
    ("Never closed </thi", [THOUGHT("Never closed </thi")]),
    ("</think>Hello.", [TEXT("Hello.")]),
    ("<thi", [THOUGHT("<thi")]),
]


@pytest.mark.parametrize(("text", "parts"), CASES)
def test_split(text: str, parts: Sequence[Split]) -> None:
    """Whole, and character by character."""
    assert split(text) == parts
    assert split(*text) == parts


@pytest.mark.parametrize(("text", "parts"), BEGUN_BY_THE_TEMPLATE)
def test_split_of_text_that_begins_in_a_thought(text: str, parts: Sequence[Split]) -> None:
    assert split(text, closing_tag="</think>") == parts
    assert split(*text, closing_tag="</think>") == parts


def test_split_whole() -> None:
    assert split_whole("<think>a</think>b") == ("a", "b")
    assert split_whole("a</think>b") == ("a", "b")
    assert split_whole("b") == ("", "b")


words = st.sampled_from(
    ["<think>", "</think>", "<thinking>", "</thinking>", "`", "```", "````", "\n", "\r\n", "<", "é", "a b"]
)
texts = st.lists(st.one_of(words, st.text(alphabet="<>/think`\n g", max_size=4))).map("".join)


@given(text=texts, data=st.data(), tag=st.sampled_from(["", "</think>"]))
def test_any_cutting_gives_the_same_split(text: str, data: st.DataObject, tag: str) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(*filter(None, pieces), closing_tag=tag) == split(*filter(None, [text]), closing_tag=tag)


@given(text=texts)
def test_nothing_is_lost_but_tags_and_line_ends(text: str) -> None:
    """The parts, in order, are what is left of the text when tags and line ends are taken out."""
    rest = iter(text)
    assert all(character in rest for part in split(text) for character in text_of(part)), "parts are a subsequence"
    lost = len(text) - sum(len(text_of(part)) for part in split(text))
    tags = sum(text.count(tag) * len(tag) for tag in ("<think>", "</think>", "<thinking>", "</thinking>"))
    assert lost <= tags + text.count("\n") + text.count("\r")


@given(text=texts)
def test_deltas_are_never_empty(text: str) -> None:
    splitter = ThinkSplitter()
    parts = [part for character in text for part in splitter.feed(TextDelta(character))]
    assert all(isinstance(part, LoneClosingTag) or part.text for part in [*parts, *splitter.flush()])


def test_text_without_tags_is_passed_through_as_it_is() -> None:
    """The usual token costs no copy."""
    delta = TextDelta("hello")
    assert ThinkSplitter().feed(delta)[0] is delta
