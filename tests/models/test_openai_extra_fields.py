"""What comes beside text and calls is put together as each service cuts it, and nothing of it is lost or shown."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.models.openai.answer_reader import AnswerReader
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.provider import CallDelta, Delta, End, ExtraFields, TextDelta, ThoughtDelta

FAILURES = Failures("http://host:1", None)


def read(*deltas: dict[str, Any], finish: str = "stop") -> list[Delta]:
    """The deltas of an answer in these pieces, each in a read of its own."""
    answer = AnswerReader(FAILURES)
    read: list[Delta] = []
    for delta in (*deltas, {}):
        choice = {"index": 0, "delta": delta, "finish_reason": None if delta else finish}
        read += answer.feed(b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n")
    read += answer.end()
    assert answer.failure is None
    return read


def extra_of(deltas: Sequence[Delta]) -> ExtraFields | None:
    end = deltas[-1]
    assert isinstance(end, End)
    return end.extra


def call(number: int = 0, arguments: str = "{}", **extra: Any) -> dict[str, Any]:
    function = {"name": "add", "arguments": arguments}
    return {"index": number, "id": f"c{number}", "type": "function", "function": function, **extra}


def message_of(*deltas: dict[str, Any]) -> Any:
    extra = extra_of(read(*deltas))
    return None if extra is None else extra.message


def test_an_ordinary_answer_has_none() -> None:
    assert extra_of(read({"role": "assistant", "content": "a", "refusal": None}, {"content": "b"})) is None
    empty: dict[str, Any] = {
        "reasoning_content": "",
        "reasoning_details": [],
        "thinking_blocks": None,
        "unknown": None,
        "odd": {},
    }
    assert extra_of(read({"content": "a", **empty, "annotations": [{"type": "url_citation"}]})) is None


def test_gemini_signs_the_first_of_parallel_calls() -> None:
    """https://ai.google.dev/gemini-api/docs/openai: each call comes whole."""
    signed: dict[str, Any] = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    deltas = read({"tool_calls": [call(0, **signed)]}, {"tool_calls": [call(1)]}, finish="tool_calls")
    assert extra_of(deltas) == ExtraFields({}, {0: signed})
    assert deltas[:2] == [CallDelta(0, "c0", "add", "{}"), CallDelta(1, "c1", "add", "{}")]


def test_gemini_signs_a_text_and_marks_thoughts() -> None:
    thought = {"content": "Hm", "extra_content": {"google": {"thought": True}}}
    signed = {"content": "", "extra_content": {"google": {"thought_signature": "c2ln"}}}
    assert message_of(thought, {"content": "Hi"}, signed) == {
        "extra_content": {"google": {"thought_signature": "c2ln"}}
    }


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_joined(name: str) -> None:
    assert message_of({name: "Let "}, {name: "me see."}, {"content": "4"}) == {name: "Let me see."}


def test_openrouter_cuts_items_of_an_index() -> None:
    """https://openrouter.ai/docs/use-cases/reasoning-tokens: summaries and encrypted data may share an index."""

    def piece(**item: Any) -> dict[str, Any]:
        return {"content": "", "reasoning_details": [{"format": "anthropic-claude-v1", "index": 0, **item}]}

    pieces = (
        piece(type="reasoning.text", text="Let "),
        piece(type="reasoning.text", text="me", signature=None),
        piece(type="reasoning.text", signature="sig"),
        piece(type="reasoning.text", text="Then", index=1),
        piece(type="reasoning.encrypted", data="abc", index=1, id="rs_1"),
        piece(type="reasoning.encrypted", data="def", index=1, id="rs_2"),
    )
    base = {"format": "anthropic-claude-v1"}
    assert message_of(*pieces)["reasoning_details"] == [
        {**base, "type": "reasoning.text", "text": "Let me", "signature": "sig", "index": 0},
        {**base, "type": "reasoning.text", "text": "Then", "index": 1},
        {**base, "type": "reasoning.encrypted", "data": "abc", "index": 1, "id": "rs_1"},
        {**base, "type": "reasoning.encrypted", "data": "def", "index": 1, "id": "rs_2"},
    ]


def test_litellm_cuts_blocks_that_end_with_their_signature() -> None:
    """https://docs.litellm.ai/docs/reasoning_content: a block has no index; the same stands a second time inside."""

    def piece(text: str, signature: str | None = None) -> dict[str, Any]:
        block = {"type": "thinking", "thinking": text, "signature": signature}
        inside = {"thinking_blocks": [dict(block)]}
        return {"reasoning_content": text, "thinking_blocks": [block], "provider_specific_fields": inside}

    redacted = {"type": "redacted_thinking", "data": "xyz"}
    fields = message_of(
        piece("One "), piece("two"), piece("", "s1"), {"thinking_blocks": [redacted]}, piece("Three"), piece("", "s2")
    )
    blocks = [
        {"type": "thinking", "thinking": "One two", "signature": "s1"},
        redacted,
        {"type": "thinking", "thinking": "Three", "signature": "s2"},
    ]
    assert fields["thinking_blocks"] == blocks
    assert fields["reasoning_content"] == "One twoThree"
    inside = fields["provider_specific_fields"]["thinking_blocks"]
    assert [block["signature"] for block in inside] == ["s1", "s2"]


def test_unknown_fields_travel() -> None:
    """A text in pieces is joined; one that comes again whole is the same; of a number the last counts."""
    opaque = "o" * 40
    deltas = read(
        {"content": "a", "reasoning_opaque": opaque, "mood": "so ", "step": 1},
        {"content": "b", "reasoning_opaque": opaque, "mood": "so", "step": 2},
        {"tool_calls": [call(0, '{"a":', function={"name": "add", "arguments": '{"a":', "strict": True}, caller="x")]},
        {"tool_calls": [{"index": 0, "function": {"arguments": "1}"}, "proof": {"by": "me"}}]},
    )
    assert extra_of(deltas) == ExtraFields(
        {"reasoning_opaque": opaque, "mood": "so so", "step": 2},
        {0: {"function": {"strict": True}, "caller": "x", "proof": {"by": "me"}}},
    )
    assert deltas[:2] == [TextDelta("a"), TextDelta("b")]


def test_an_answer_that_is_not_streamed() -> None:
    signed: dict[str, Any] = {"extra_content": {"google": {"thought_signature": "c2ln"}}}
    message = {
        "role": "assistant",
        "content": "Hi",
        "reasoning_content": "Hm",
        "x": 1,
        "tool_calls": [call(0, **signed)],
    }
    body = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    reader = AnswerReader(FAILURES)
    deltas = [*reader.feed(json.dumps(body).encode()), *reader.end()]
    assert extra_of(deltas) == ExtraFields({"reasoning_content": "Hm", "x": 1}, {0: signed})
    assert TextDelta("Hi") in deltas


def test_more_than_a_megabyte_is_not_kept() -> None:
    pieces = [{"content": "", "blob": f"{number}" + "x" * 300_000} for number in range(4)]
    assert extra_of(read(*pieces, {"content": "a"})) is None


def test_thoughts_among_the_parts_of_a_text_came_in_no_field_and_none_goes_back() -> None:
    """Mistral refuses the `reasoning_content` that it never sent: charmbracelet/crush#1590."""
    deltas = read({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]}]}, {"content": "4"})
    assert extra_of(deltas) is None
    assert ThoughtDelta("Hm.") in deltas


def test_only_the_first_choice_counts() -> None:
    answer = AnswerReader(FAILURES)
    choices = [{"index": 1, "delta": {"content": "x", "odd": 1}}, {"index": 0, "delta": {"content": "a"}}]
    answer.feed(b"data: " + json.dumps({"choices": choices}).encode() + b"\n\n" + b"data: [DONE]\n\n")
    assert extra_of([*answer.end(), End("stop")]) is None


scalars = st.sampled_from([None, True, 3, "", "x", "y" * 40])
items = st.dictionaries(st.sampled_from(["type", "index", "id", "text", "data", "signature"]), scalars, max_size=3)
json_values = st.one_of(scalars, items, st.lists(st.one_of(scalars, items), max_size=3))
extras = st.dictionaries(st.sampled_from(["reasoning_details", "thinking_blocks", "blob", "mood"]), json_values)


@settings(max_examples=50)
@given(st.lists(st.tuples(extras, st.text(min_size=1, max_size=3)), max_size=5))
def test_no_extra_field_loses_a_word(pieces: list[tuple[dict[str, Any], str]]) -> None:
    """Whatever an extra field holds."""
    deltas = read(*({"content": text, **extra} for extra, text in pieces))
    assert "".join(d.text for d in deltas if isinstance(d, TextDelta)) == "".join(text for _, text in pieces)
