"""What goes out is what OpenAI's own package reads, one line at a time."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from aiostream_server.errors import ServerError, ShuttingDown, ToolFailed, UnknownModel
from aiostream_server.events import Answer, Entry, Error, Event, FinishReason, RunFinished, Thinking, TokenCount
from aiostream_server.present import new_presenter
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.errors import error_frame, refusal
from aiostream_server.protocols.chat.whole import CompletionCollector, completion_id, wire_finish_reason
from aiostream_server.runs.card import RunCard

COUNT = TokenCount(prompt_tokens=12, completion_tokens=30)
ANY_TEXT = st.text(st.characters(exclude_categories=()))


@pytest.fixture
def chunks() -> ChunkEncoder:
    return ChunkEncoder("chatcmpl-1", 1_760_000_000, "auto")


def parsed(line: str) -> ChatCompletionChunk:
    """As the `openai` package reads a chunk, and with nothing in it that the package does not know."""
    chunk = ChatCompletionChunk.model_validate_json(line)
    assert (chunk.id, chunk.created, chunk.model) == ("chatcmpl-1", 1_760_000_000, "auto")
    assert not chunk.model_extra
    return chunk


def test_a_stream_is_read_by_openais_package(chunks: ChunkEncoder) -> None:
    role, content, finish, usage = map(
        parsed, [chunks.role(), chunks.content("Hi"), chunks.finish("length"), chunks.usage(COUNT)]
    )
    assert (role.choices[0].delta.role, role.choices[0].delta.content) == ("assistant", "")
    assert (content.choices[0].delta.role, content.choices[0].delta.content) == (None, "Hi")
    assert [chunk.choices[0].finish_reason for chunk in (role, content, finish)] == [None, None, "length"]
    assert usage.choices == []
    assert usage.usage is not None
    assert usage.usage.total_tokens == 42


def test_reasoning_is_a_field_of_the_delta(chunks: ChunkEncoder) -> None:
    assert parsed(chunks.reasoning("hm")).choices[0].delta.model_extra == {"reasoning_content": "hm"}


def test_a_delta_says_one_thing_and_the_last_one_nothing(chunks: ChunkEncoder) -> None:
    assert json.loads(chunks.content("Hi"))["choices"] == [
        {"index": 0, "delta": {"content": "Hi"}, "finish_reason": None}
    ]
    assert json.loads(chunks.finish("stop"))["choices"] == [{"index": 0, "delta": {}, "finish_reason": "stop"}]


def nulls(value: Any) -> set[str]:
    """The keys under which a null stands, at any depth."""
    if isinstance(value, list):
        return set().union(*map(nulls, value))
    if isinstance(value, dict):
        return {key for key, item in value.items() if item is None}.union(*map(nulls, value.values()))
    return set()


def test_nothing_is_null_but_the_finish_reason(chunks: ChunkEncoder) -> None:
    """Open WebUI loses chunks that say `"type": null` or `"delta": null`."""
    lines = [chunks.role(), chunks.content("a"), chunks.reasoning("a"), chunks.finish("stop"), chunks.usage(COUNT)]
    assert set().union(*(nulls(json.loads(line)) for line in lines)) == {"finish_reason"}


@given(text=ANY_TEXT, chunk_id=ANY_TEXT, model=ANY_TEXT)
def test_any_text_comes_through_on_one_line(text: str, chunk_id: str, model: str) -> None:
    chunks = ChunkEncoder(chunk_id, 0, model)
    for key, line in (("content", chunks.content(text)), ("reasoning_content", chunks.reasoning(text))):
        assert line.isascii()
        assert len(line.splitlines()) == 1
        chunk = json.loads(line)
        assert (chunk["id"], chunk["model"], chunk["choices"][0]["delta"]) == (chunk_id, model, {key: text})


def collected(*events: Event) -> bytes:
    card = RunCard("run-1", "auto", None, None, "cancel", 1.5, 0, None, None)
    collector = CompletionCollector(card, new_presenter("reasoning"))
    collector.add([Entry(number, 0.0, event) for number, event in enumerate(events, 1)])
    return collector.body()


@pytest.mark.parametrize("reasoning", ["", "hm"])
def test_a_completion_is_read_by_openais_package(reasoning: str) -> None:
    thought = [Thinking("A", reasoning)] if reasoning else []
    body = collected(*thought, Answer("A", "Hi"), RunFinished("stop", COUNT, 0.1))
    completion = ChatCompletion.model_validate_json(body)
    assert (completion.created, completion.choices[0].message.content) == (1, "Hi")
    extra = completion.choices[0].message.model_extra
    assert extra is not None
    assert [*extra] == (["reasoning_content"] if reasoning else [])
    assert completion.usage is not None
    assert completion.usage.total_tokens == 42


def test_a_failed_run_raises_its_error_and_half_an_answer_is_none() -> None:
    with pytest.raises(ToolFailed, match="no"):
        collected(Error("tool_failed", "no"))
    with pytest.raises(ShuttingDown):
        collected(Answer("A", "Hi"), RunFinished("interrupted", COUNT, 0.1))


def test_every_end_of_a_run_has_a_word_of_openais() -> None:
    words = {reason: wire_finish_reason(reason) for reason in get_args(FinishReason)}
    for reason in ("length", "content_filter", "tool_calls"):
        assert words.pop(reason) == reason
    assert set(words.values()) == {"stop"}


def test_errors_have_openais_shape_in_a_body_and_in_a_stream() -> None:
    status, body = refusal(UnknownModel("no model x", param="model"))
    assert status == 404
    assert json.loads(body) == {
        "error": {"message": "no model x", "type": "invalid_request_error", "param": "model", "code": "model_not_found"}
    }
    line = error_frame("the model broke off", code="model_failed")
    assert json.loads(line) == {
        "error": {"message": "the model broke off", "type": "server_error", "param": None, "code": "model_failed"}
    }
    assert json.loads(error_frame("x", code="internal_error")) == json.loads(refusal(ServerError("x"))[1])


def test_an_id_is_the_same_for_every_replay_and_does_not_reveal_the_run() -> None:
    assert completion_id("run-1") == completion_id("run-1") != completion_id("run-2")
    assert completion_id("run-abcdefgh").startswith("chatcmpl-")
    assert "abcdefgh" not in completion_id("run-abcdefgh")
    assert len(completion_id("run-1")) == 41
