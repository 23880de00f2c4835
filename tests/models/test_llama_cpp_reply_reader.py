"""A reply in JSON is read as it is being written: cut anywhere, it says the same, and nothing later than it must."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.llama_cpp.reply_reader import ReplyReader
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta, ThoughtDelta

TEXTS = st.text(st.characters(codec="utf-8") | st.sampled_from('"\\/{}[]:,\n\té😀𝄞'), max_size=30)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def written(draw: st.DrawFn, value: Any) -> list[str]:
    """`value` as some model might write it, in pieces."""
    text = json.dumps(value, ensure_ascii=draw(st.booleans()), indent=draw(st.sampled_from([None, 1, "\t"])))
    text = draw(st.sampled_from(["", " ", "\n"])) + text + draw(st.sampled_from(["", "\n", " \n"]))
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=8)))
    return [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def read(pieces: Sequence[str], reason: Any = "stop") -> list[Delta]:
    reader = ReplyReader()
    batches: list[list[Delta]] = [[TextDelta(piece)] for piece in pieces if piece]
    batches.append([End(reason)])
    return [delta for batch in batches for delta in reader.read(batch)]


def text_of(deltas: Sequence[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@given(st.data(), TEXTS)
def test_answer_is_what_was_written_wherever_it_is_cut(data: st.DataObject, answer: str) -> None:
    deltas = read(data.draw(written({"answer": answer})))
    assert text_of(deltas) == answer
    assert deltas[-1] == End("stop")
    assert not any(isinstance(delta, CallDelta) for delta in deltas)
    assert all(delta.text for delta in deltas if isinstance(delta, TextDelta))


@given(st.data(), TEXTS, st.dictionaries(TEXTS, JSON, max_size=4))
def test_call_has_its_name_once_and_its_arguments_whole(
    data: st.DataObject, tool: str, arguments: dict[str, Any]
) -> None:
    deltas = read(data.draw(written({"tool": tool, "arguments": arguments})))
    first, *more, end = deltas
    assert isinstance(first, CallDelta)
    assert (first.index, first.name) == (0, tool)
    assert first.call_id.startswith("call_")
    assert all(isinstance(delta, CallDelta) and not delta.name and delta.arguments for delta in more)
    assert json.loads("".join(delta.arguments for delta in more if isinstance(delta, CallDelta))) == arguments
    assert end == End("function_calls")


@given(st.data(), JSON.filter(lambda value: not isinstance(value, str)))
def test_answer_that_is_no_string_is_its_json(data: st.DataObject, answer: Any) -> None:
    assert json.loads(text_of(read(data.draw(written({"answer": answer}))))) == answer


@given(TEXTS.filter(lambda text: text.isprintable()))
def test_every_character_is_said_as_soon_as_it_is_there(answer: str) -> None:
    """But for the inside of an escape."""
    reader, said = ReplyReader(), ""
    for character in json.dumps({"answer": answer}, ensure_ascii=False)[:-2]:
        said += text_of(reader.read([TextDelta(character)]))
        if character not in '\\"':
            assert answer.startswith(said)
    assert said == answer


@given(st.lists(st.text('{}[]":,\\ue08dtoolanswergu ', max_size=12), max_size=6))
def test_nothing_that_is_written_makes_it_stumble(pieces: list[str]) -> None:
    assert isinstance(read(pieces)[-1], End)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        ("Paris.", "Paris."),
        ("  Paris {x}", "Paris {x}"),
        (r'{"answer": "\ud83d\ude00"}', "😀"),
        (r'{"answer": "a\ud83d b"}', "a� b"),
        (r'{"answer": "\ud83d\ud83d\ude00\ude00"}', "�😀�"),
        (r'{"answer": "\ud83d\n"}', "�\n"),
        (r'{"answer": "\ud83d"}', "�"),
        (r'{"answer": "\t\/\\"}', "\t/\\"),
        ('{"why": ["no", {"a": "}"}], "sure": 0.5, "answer": "yes"}', "yes"),
        ('{"answer": "cut', "cut"),
    ],
)
def test_reply(reply: str, text: str) -> None:
    assert text_of(read([reply])) == text


def test_what_is_cut_off_by_its_length_says_so_and_thoughts_are_let_through() -> None:
    assert read(['{"tool": "t", "arguments": {"a'], "length")[-1] == End("length")
    thought = ThoughtDelta("hm")
    assert ReplyReader().read([thought, TextDelta('{"answer": "a"}')]) == [thought, TextDelta("a")]
