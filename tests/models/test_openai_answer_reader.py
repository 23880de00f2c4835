"""Whatever an OpenAI-compatible provider streams is read, however its bytes are cut."""

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from autogen_core.models import RequestUsage
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.answer_reader import AnswerReader
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta, ThoughtDelta

FAILURES = Failures("http://host:1", SecretStr("sk-secret"))


def reader() -> AnswerReader:
    return AnswerReader(FAILURES)


def read(*pieces: bytes) -> list[Delta]:
    """All deltas of a stream with the reads `pieces`."""
    answer = reader()
    deltas = [delta for piece in pieces for delta in answer.feed(piece)]
    deltas += answer.end()
    if answer.failure is not None:
        raise answer.failure
    return deltas


def event(delta: Any = None, finish: Any = None, index: Any = None, **chunk: Any) -> bytes:
    choice = {"delta": delta, "finish_reason": finish, "index": index}
    return b"data: " + json.dumps({"choices": [choice], **chunk}, ensure_ascii=False).encode() + b"\n\n"


def calls(*pieces: Mapping[str, Any]) -> list[Delta]:
    """The deltas of one call piece per event."""
    stream = b"".join(event({"tool_calls": [piece]}) for piece in pieces)
    return read(stream + STOP)[:-1]


STOP = event({}, "stop")
DONE = b"data: [DONE]\n\n"
STOPPED = End("stop")


def test_text_reasoning_usage_and_end() -> None:
    """Usage comes in a chunk of its own behind the finish reason, with no choices."""
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}}\n\n'
    stream = event({"role": "assistant", "content": ""}) + event({"reasoning_content": "hm"}) + event({"content": "hi"})
    assert read(stream + STOP + usage + DONE) == [
        ThoughtDelta("hm"),
        TextDelta("hi"),
        End("stop", RequestUsage(3, 2)),
    ]


@pytest.mark.parametrize(
    ("stream", "deltas"),
    [
        (event({"content": "a"}) + STOP, [TextDelta("a"), STOPPED]),
        (b'data:{"choices":[{"delta":{"content":"a"}}]}\r\n\r\n' + STOP, [TextDelta("a"), STOPPED]),
        (b'data: {"choices":[{"delta":{"content":"a"}}]}\rdata: [DONE]\r', [TextDelta("a"), End("unknown")]),
        (b": keep-alive\n\nevent: message\nid: 1\ndata:\n\n" + STOP + DONE, [STOPPED]),
        (STOP + DONE.strip(), [STOPPED]),
        (event({"reasoning": "hm"}) + STOP, [ThoughtDelta("hm"), STOPPED]),
        (event({"reasoning": "hm", "reasoning_content": "hm"}) + STOP, [ThoughtDelta("hm"), STOPPED]),
        (event({"content": None, "tool_calls": None, "reasoning": None}) + STOP, [STOPPED]),
        (event({"refusal": "I can't"}) + STOP, [TextDelta("I can't"), End("refusal")]),
        (b'data: {"choices":null,"usage":null}\n\n' + STOP, [STOPPED]),
        (event(None) + STOP + event({"content": ""}, ""), [STOPPED]),
        (event({"content": "a"}, index=0) + event({"content": "b"}, index=1) + STOP, [TextDelta("a"), STOPPED]),
        (event({"content": "b"}, index=1) + STOP, [STOPPED]),
        (STOP + DONE + event({"content": "behind the end"}), [STOPPED]),
        (event({}, "tool_calls"), [End("function_calls")]),
        (event({}, "length"), [End("length")]),
        (event({}, "content_filter"), [End("content_filter")]),
        (event({}, "eos"), [STOPPED]),
        (event({}, "load"), [End("unknown", native="load")]),
        (event({}, "stop", usage={"prompt_tokens": None, "completion_tokens": 4}), [End("stop", RequestUsage(0, 4))]),
        (event({}, "stop", usage={"prompt_tokens": 0, "completion_tokens": 0}), [STOPPED]),
    ],
)
def test_quirks(stream: bytes, deltas: Sequence[Delta]) -> None:
    assert read(stream) == deltas


def test_one_read_gives_all_its_events_at_once() -> None:
    answer = reader()
    assert answer.feed(event({"content": "a"}) + event({"content": "b"})) == [TextDelta("a"), TextDelta("b")]


@pytest.mark.parametrize(
    ("pieces", "deltas"),
    [
        (  # OpenAI: index in every piece, id and name in the first
            [
                {"index": 0, "id": "x", "function": {"name": "f", "arguments": ""}},
                {"index": 0, "function": {"arguments": "{}"}},
                {"index": 1, "id": "y", "function": {"name": "f", "arguments": "{}"}},
            ],
            [CallDelta(0, "x", "f"), CallDelta(0, arguments="{}"), CallDelta(1, "y", "f", "{}")],
        ),
        (  # Ollama: every call is number 0, whole
            [
                {"index": 0, "id": "x", "function": {"name": "f", "arguments": "1"}},
                {"index": 0, "id": "y", "function": {"name": "f", "arguments": "2"}},
            ],
            [CallDelta(0, "x", "f", "1"), CallDelta(1, "y", "f", "2")],
        ),
        (  # no index and no id
            [
                {"function": {"name": "f", "arguments": "1"}},
                {"function": {"arguments": "2"}},
                {"function": {"name": "f", "arguments": {"a": 3}}},
            ],
            [CallDelta(0, "", "f", "1"), CallDelta(0, arguments="2"), CallDelta(1, "", "f", '{"a":3}')],
        ),
        (  # id and name repeated in every piece
            [
                {"index": 0, "id": "x", "function": {"name": "f", "arguments": "1"}},
                {"index": 0, "id": "x", "function": {"name": "f", "arguments": "2"}},
                {"id": "x", "function": {"name": "f", "arguments": "3"}},
            ],
            [CallDelta(0, "x", "f", "1"), CallDelta(0, arguments="2"), CallDelta(0, arguments="3")],
        ),
        (  # older vLLM: a new id in every piece
            [
                {"index": 0, "id": "x", "function": {"name": "f"}},
                {"index": 0, "id": "y", "function": {"arguments": "2"}},
            ],
            [CallDelta(0, "x", "f"), CallDelta(0, arguments="2")],
        ),
        (  # a name in two pieces, and the id late
            [
                {"index": 0, "function": {"name": "get_", "arguments": None}},
                {"index": 0, "id": "x", "function": {"name": "time"}},
                {"index": 0, "function": None},
            ],
            [CallDelta(0, "", "get_"), CallDelta(0, "x", "time"), CallDelta(0)],
        ),
    ],
)
def test_tool_calls(pieces: Sequence[Mapping[str, Any]], deltas: Sequence[Delta]) -> None:
    assert calls(*pieces) == deltas


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        (b"data: {not json\n\n", "the model provider at http://host:1 sent something that is not JSON"),
        (b'data: {"error": ' + b"[" * 100_000 + b"\n\n", "sent something that is not JSON"),
        (event(error={"message": "out of\nmemory", "code": 500}), "reported an error: out of memory"),
        (b'data: {"error": "busy"}\n\n', "reported an error: busy"),
        (b'data: {"error": {"code": 7}}\n\n', "http://host:1 reported an error$"),
        (b'data: {"object":"error","message":"too long","code":400}\n\n', "reported an error: too long"),
        (b'{"error": {"message": "bad key sk-secret"}}\n', r"reported an error: bad key \*\*\*$"),
        (event({"content": "a"}), "broke off in the middle of its answer"),
        (b"", "broke off in the middle of its answer"),
        (b"data: " + b"x" * 17 * 1024**2, "sent an event of more than 16777216 bytes"),
        (b"<!doctype html><title>hi</title>", "answered with a web page: is its base_url right?"),
        (b"{}", "sent an answer without choices"),
    ],
)
def test_failures_are_one_readable_line(stream: bytes, message: str) -> None:
    with pytest.raises(ModelFailed, match=message) as failure:
        read(stream)
    assert len(str(failure.value).splitlines()) == 1
    assert len(str(failure.value)) < 400


def test_failure_loses_nothing_that_came_before_it() -> None:
    """Not even what came in the same read."""
    answer = reader()
    assert answer.feed(event({"content": "a"}) + b"data: {\n\n" + event({"content": "b"})) == [TextDelta("a")]
    assert answer.failure is not None


@pytest.mark.parametrize("indent", [None, 2])
def test_whole_answer(indent: int | None) -> None:
    """A provider that ignores `stream` sends one JSON object, on one line or on many."""
    call = {"id": "x", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": "hi", "reasoning_content": "hm", "tool_calls": [call]}
    body = {"choices": [{"message": message, "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 1}}
    assert read(json.dumps(body, indent=indent).encode()) == [
        ThoughtDelta("hm"),
        TextDelta("hi"),
        CallDelta(0, "x", "f", "{}"),
        End("function_calls", RequestUsage(1, 0)),
    ]


tokens = st.lists(st.one_of(st.text(min_size=1), st.sampled_from(["ü", "€", "🎯", "\u2028", "\r\n", "data: [DONE]"])))


@given(texts=tokens, data=st.data(), line_end=st.sampled_from([b"\n", b"\r\n"]))
def test_any_cutting_gives_the_same_deltas(texts: Sequence[str], data: st.DataObject, line_end: bytes) -> None:
    """UTF-8 characters, line ends and JSON may all be cut in two."""
    stream = b"".join(event({"content": text}) for text in texts if _encodable(text)) + STOP + DONE
    stream = stream.replace(b"\n", line_end)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=40)))
    pieces = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    said = [TextDelta(text) for text in texts if _encodable(text)]
    assert read(*pieces) == [*said, STOPPED]


def _encodable(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


_LOGPROBS = {"content": [{"token": "a", "logprob": -1.0}]}
_DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "content": st.sampled_from(["", "a", "ü\u2028", None]),
        "reasoning_content": st.sampled_from(["", "hm", None]),
        "reasoning": st.sampled_from(["hm", None]),
        "refusal": st.sampled_from(["no", None]),
        "tool_calls": st.sampled_from([[], [{"index": 0, "function": {"name": "f", "arguments": "{}"}}], None]),
    },
)
_CHOICES = st.fixed_dictionaries(
    {},
    optional={
        "index": st.sampled_from([0, 1, None]),
        "delta": st.one_of(_DELTAS, st.none()),
        "message": _DELTAS,
        "finish_reason": st.sampled_from(["", "stop", "length", None]),
        "logprobs": st.sampled_from([_LOGPROBS, None]),
    },
)
_TEXTS = st.just({"choices": [{"delta": {"content": "a"}}]})
_CHUNKS = _TEXTS | st.fixed_dictionaries(
    {"choices": st.one_of(st.lists(_CHOICES, max_size=2), st.none())},
    optional={
        "usage": st.sampled_from([{"prompt_tokens": 1, "completion_tokens": 2}, None]),
        "object": st.sampled_from(["chat.completion.chunk", "error"]),
        "error": st.sampled_from([{"message": "overloaded"}, None]),
    },
)
_ENDS = st.sampled_from(["\n\n", "\n", "\r\n\r\n", "\r\r", "\n\n ", "\n ", "\n\n\n", "", "\r\n", " \n\n"])


@given(st.lists(st.tuples(_CHUNKS, _ENDS, st.booleans()), max_size=4))
def test_an_event_in_one_read_is_read_as_one_in_two(events: Sequence[tuple[Mapping[str, Any], str, bool]]) -> None:
    """The first read of what says nothing but text is the short way; no read that is cut takes it."""
    pieces = [f"data: {json.dumps(chunk, indent=indented or None)}{end}".encode() for chunk, end, indented in events]
    assert _told(pieces) == _told([part for piece in pieces for part in (piece[:3], piece[3:])])


def _told(pieces: Sequence[bytes]) -> tuple[list[Delta], str]:
    """All deltas, and the failure behind them, if there is one."""
    answer = reader()
    deltas = [delta for piece in pieces for delta in answer.feed(piece)]
    return deltas + answer.end(), str(answer.failure or "")


@pytest.mark.parametrize("ends", [b"\n\n", b"\r\r", b"\ndata: \n\n"])
def test_one_line_of_many_megabytes_takes_linear_time(ends: bytes) -> None:
    """Four times as long, four times the CPU time; joining each piece to all before it would take 16 times."""

    def cpu_s(mebibytes: int) -> float:
        line = b'data: {"choices":[{"index":0,"delta":{"content":"' + b"x" * (mebibytes * 1024**2) + b'"}}]}' + ends
        reader, before, said = AnswerReader(FAILURES), time.process_time(), 0
        for at in range(0, len(line), 1_000):
            said += len(reader.feed(line[at : at + 1_000]))
        said += len(reader.end())
        assert said == 1
        return time.process_time() - before

    assert min(cpu_s(15) for _ in range(2)) < 9 * min(cpu_s(4) for _ in range(2))
