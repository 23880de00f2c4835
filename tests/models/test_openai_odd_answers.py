"""One odd field never ends an answer: what does not fit is read leniently, and what only informs counts as absent."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pytest
from autogen_core.models import RequestUsage
from hypothesis import assume, given
from hypothesis import strategies as st

from aiostream_server.errors import ModelFailed
from aiostream_server.models.openai.answer_reader import AnswerReader
from aiostream_server.models.openai.failures import Failures
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta, ThoughtDelta

FAILURES: Final = Failures("http://host:1", None)
STOP: Final = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
WORD: Final = b'data: {"choices":[{"index":0,"delta":{"content":"word"}}]}\n\n'
STOPPED: Final = End("stop")
TEXT, THOUGHT = TextDelta, ThoughtDelta


def read(stream: bytes) -> list[Delta]:
    deltas, failure, _ = told([stream])
    assert failure == ""
    return deltas


def told(pieces: Sequence[bytes]) -> tuple[list[Delta], str, tuple[str, ...]]:
    """All deltas of a body with the reads `pieces`, the failure behind them, and the odd fields."""
    answer = AnswerReader(FAILURES)
    deltas: list[Delta] = []
    for piece in pieces:
        deltas += answer.feed(piece)
        while answer.is_behind:
            deltas += answer.feed(b"")
    deltas += answer.end()
    assert answer.done or answer.failure is not None
    return deltas, str(answer.failure or "").removeprefix("the model provider at http://host:1 "), answer.odd_fields


def data(*chunks: Any) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def choice(delta: Any, **fields: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, **fields}]}


def content(value: Any) -> bytes:
    return data(choice({"content": value}))


def calls(value: Any) -> bytes:
    return data(choice({"tool_calls": value}))


THINKING: Final = {"type": "thinking", "thinking": [{"type": "text", "text": "Easy."}]}

ODD: Final[list[tuple[bytes, list[Delta]]]] = [
    # Text
    (content([THINKING]), [THOUGHT("Easy.")]),
    (content([{"type": "text", "text": "4"}, {"type": "reference", "reference_ids": [1], "text": "[1]"}]), [TEXT("4")]),
    (content([THINKING, {"type": "text", "text": "4"}]), [THOUGHT("Easy."), TEXT("4")]),
    (content([{"type": "thinking", "thinking": "Hm.", "signature": "x"}, "4"]), [THOUGHT("Hm."), TEXT("4")]),
    (content({"type": "text", "text": {"value": "4", "annotations": []}}), [TEXT("4")]),
    (content({"parts": [{"text": "Hm.", "thought": True}, {"text": "4"}]}), [THOUGHT("Hm."), TEXT("4")]),
    (content([{"type": "image_url", "image_url": {"url": "data:"}}, None, 4.5]), [TEXT("4.5")]),
    (content(5), [TEXT("5")]),
    (content(False), []),
    (content({}), []),
    (data(choice("4")), [TEXT("4")]),
    (data(choice(["4"])), [TEXT("4")]),
    (data(choice({"reasoning": {"content": "Hm."}})), [THOUGHT("Hm.")]),
    (data(choice({"reasoning": [{"type": "reasoning.text", "text": "Hm."}]})), [THOUGHT("Hm.")]),
    (data(choice({"reasoning_content": [{"summary": [{"type": "summary_text", "text": "Hm."}]}]})), [THOUGHT("Hm.")]),
    (data(choice({"reasoning": "Hm.", "content": [THINKING]})), [THOUGHT("Hm.")]),
    (data({"choices": choice({"content": "4"})["choices"][0]}), [TEXT("4")]),
    (data({"choices": {"0": choice({"content": "4"})["choices"][0]}}), [TEXT("4")]),
    (data({"choices": [{"index": "0", "text": "4"}]}), [TEXT("4")]),
    (data([choice({"content": "4"}), choice({"content": "2"})]), [TEXT("4"), TEXT("2")]),
    # What only informs
    (data({**choice({"content": "4"}), "usage": [], "object": 5, "created": 1.5}), [TEXT("4")]),
    (data(choice({"content": "4"}, logprobs=[1], finish_reason=[])), [TEXT("4")]),
    (data(choice({"content": "4"}, index=-0.0)), [TEXT("4")]),
    # Syntax
    (b'data: {"choices":[{"delta":{"content":"4"},"logprobs":NaN}],"x":[-Infinity]}\n\n', [TEXT("4")]),
    (b'data: {"choices":[{"delta":{"content":"\xff4"}}]}\n\n', [TEXT("�4")]),
    (b'data: {"choices":[{"delta":{"content":"\\ud83d4"}}]}\n\n', [TEXT("�4")]),
    (b'data: {"choices":[{"delta":{"content":"a\tb\x00"}}]}\n\n', [TEXT("a\tb\x00")]),
    (b'data: {"choices":[{"delta":{"content":"4"}}],"x":' + b"[" * 5000 + b"]" * 5000 + b"}\n\n", [TEXT("4")]),
    (b'data: {"choices":[{"delta":{"content":"4"}}],"x":' + b"9" * 5000 + b"}\n\n", [TEXT("4")]),
    (b'data: {"choices":[{"delta":{"content":"4"}}]}{"choices":[{"delta":{"content":"4"}}]},\n\n', [TEXT("4")] * 2),
    (b'data: data: {"choices":[{"delta":{"content":"4"}}]}\n\n', [TEXT("4")]),
    (b'data: {"choices":\ndata: [{"delta":{"content":"4"}}]}\n\n', [TEXT("4")]),
    (b"data: ping\n\ndata: null\n\ndata: 5\n\ndata: []\n\ndata:\n\n: comment\n\nretry: 5\n\n", []),
    # Tool calls
    (calls([{"id": 7, "function": {"name": "f", "arguments": {"a": 1}}}]), [CallDelta(0, "7", "f", '{"a":1}')]),
    (calls([{"index": "0", "function": {"name": "f", "arguments": None}}]), [CallDelta(0, "", "f")]),
    (calls([{"index": 0.0, "function": {"name": "f", "arguments": [1]}}]), [CallDelta(0, "", "f", "[1]")]),
    (calls({"id": "x", "function": {"name": "f", "arguments": "{}"}}), [CallDelta(0, "x", "f", "{}")]),
    (calls([None, {"id": [], "index": {}, "function": {"name": "f"}}, "f"]), [CallDelta(0, "", "f")]),
    (data(choice({"function_call": {"name": "f", "arguments": "{"}}), choice({"function_call": {"arguments": "}"}})), [
        CallDelta(0, "", "f", "{"),
        CallDelta(0, arguments="}"),
    ]),
]  # fmt: skip


@pytest.mark.parametrize(("odd", "deltas"), ODD)
def test_odd_event_is_read_leniently(odd: bytes, deltas: Sequence[Delta]) -> None:
    """Before, between and behind regular ones."""
    assert read(odd + STOP) == [*deltas, STOPPED]
    assert read(WORD + odd + WORD + STOP) == [TEXT("word"), *deltas, TEXT("word"), STOPPED]


@pytest.mark.parametrize(
    ("finish", "end"),
    [
        ({"type": "stop"}, STOPPED),
        (["length"], End("length")),
        (1, End("unknown", native="code 1")),
        (True, STOPPED),
    ],
)
def test_odd_finish_reason_ends_the_answer(finish: Any, end: End) -> None:
    assert read(WORD + data(choice({}, finish_reason=finish))) == [TEXT("word"), end]


def test_reasoning_in_details_alone() -> None:
    """Beside `reasoning` they repeat it. Encrypted ones have no text."""
    details = [
        {"type": "reasoning.text", "text": "Hm", "signature": "s"},
        {"type": "reasoning.summary", "summary": "m."},
    ]
    deltas = read(data(choice({"reasoning_details": details})) + STOP)
    assert deltas[0] == THOUGHT("Hmm.")
    assert read(data(choice({"reasoning_details": details, "reasoning": "So."})) + STOP)[0] == THOUGHT("So.")
    encrypted = [{"type": "reasoning.encrypted", "data": "x"}]
    assert len(read(data(choice({"reasoning_details": encrypted})) + STOP)) == 1


def test_odd_refusal() -> None:
    assert read(data(choice({"refusal": {"text": "No."}})) + STOP) == [TEXT("No."), End("refusal")]


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"prompt_tokens": 3.0, "completion_tokens": "2"}, RequestUsage(3, 2)),
        ({"prompt_tokens": 3, "completion_tokens": {"n": 2}}, RequestUsage(3, 0)),
        ({"prompt_tokens": 10**40, "completion_tokens": -2}, None),
        ([1], None),
        ("3", None),
    ],
)
def test_odd_usage(usage: Any, counted: RequestUsage | None) -> None:
    assert read(data({**choice({}, finish_reason="stop"), "usage": usage})) == [End("stop", counted)]


def test_whole_answer_with_odd_fields() -> None:
    message = {"content": [THINKING, {"type": "text", "text": "4"}], "tool_calls": {"function": {"name": "f"}}}
    body = {"choices": [{"message": message, "finish_reason": "stop"}], "usage": {"prompt_tokens": 1.0}}
    for indent in (None, 2):
        assert read(json.dumps(body, indent=indent).encode()) == [
            THOUGHT("Easy."),
            TEXT("4"),
            CallDelta(0, "", "f"),
            End("stop", RequestUsage(1, 0)),
        ]


@pytest.mark.parametrize(
    "body",
    [
        b"\xef\xbb\xbf" + WORD + STOP,
        b"\n\n  \n" + WORD + STOP,
        (WORD + STOP).replace(b"\n", b"\r"),
        (WORD + STOP).replace(b"\n", b"\r\n"),
        (WORD + STOP).replace(b"data: ", b"data:"),
        (WORD + STOP).replace(b"\n\n", b"\n"),
        (WORD + STOP).replace(b"data: ", b""),  # lines of JSON
        b"\xef\xbb\xbf" + (WORD + STOP).replace(b"data: ", b"\r\n"),
        WORD + b"data: [DONE] \n",
        WORD + b'data: "[DONE]"\n\n',
        WORD + b"data: DONE\n\n",
        json.dumps({"choices": [{"message": {"content": "word"}, "finish_reason": "stop"}]}).encode(),
        json.dumps({"choices": [{"message": {"content": "word"}}]}, indent=1).encode() + b"\n",
        json.dumps([choice({"content": "word"}), choice({}, finish_reason="stop")], indent=1).encode(),
        b'data: {"choices":[{"message":{"content":"word"},"finish_reason":"stop"}]}\n\n',
        WORD + b'data: {"choices":[{"message":{"content":"word"},"finish_reason":"stop"}]}\n\n',  # says it again
        b'data: {"choices":[{"delta":{},"message":{"content":"word"},"finish_reason":"stop"}]}\n\n',
    ],
)
def test_first_bytes_decide_what_a_body_is(body: bytes) -> None:
    (said, end), failure, _ = told([body])
    assert said == TEXT("word")
    assert isinstance(end, End)
    assert failure == ""
    assert told([bytes([byte]) for byte in body])[:2] == ([said, end], "")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'event: error\ndata: {"error": {"message": "Overloaded"}}\n\n', "reported an error: Overloaded"),
        (b'event: error\r\ndata: {"error":{"message":"Over"},"type":"error"}\r\n\r\n', "reported an error: Over"),
        (b'event:error\ndata: {"message": "Overloaded"}\n\n', "reported an error: Overloaded"),
        (b"event: error\ndata: Overloaded\n\n", "reported an error: Overloaded"),
        (b'event: error\ndata: {"code": 5}\n\n', "reported an error"),
        (b'{\n  "error": {\n    "message": "Overloaded"\n  }\n}', "reported an error: Overloaded"),
        (b'[{\n  "error": {"message": "Overloaded"}\n}\n]', "reported an error: Overloaded"),
        (b'data: {"message": "Overloaded", "code": 529}\n\n', "reported an error: Overloaded"),
        (b'data: {"error": {"message": "Over\\ud83dloaded"}}\n\n', "reported an error: Over�loaded"),
        (b"data: upstream timed out\n\n", "reported an error: upstream timed out"),
        (b'data: {"choices": [\n\ndata: {}\n\n', "sent something that is not JSON"),
        (b'{"choices": [', "sent something that is not JSON"),
        (b"\xef\xbb\xbf<html>", "answered with a web page: is its base_url right?"),
    ],
)  # fmt: skip
def test_errors_of_any_form_are_told(body: bytes, message: str) -> None:
    deltas, failure, _ = told([WORD + body if body.startswith((b"event", b"data")) else body])
    assert failure == message
    assert deltas in ([], [TEXT("word")])
    assert told([bytes([byte]) for byte in body])[1] == message


def test_an_event_that_is_no_error_ends_nothing() -> None:
    assert read(b"event: message\n" + WORD + b"event: error\n\n" + WORD + STOP + b"event: error\ndata: [DONE]\n\n") == [
        TEXT("word"),
        TEXT("word"),
        STOPPED,
    ]


def test_odd_fields_are_named_once() -> None:
    stream = content(5) + content([]) + data({**choice({}), "usage": 3}) + calls([{"index": "x"}]) + STOP
    assert told([stream])[2] == ("choices.delta.content", "usage", "choices.delta.tool_calls.index")
    assert told([b'data: {"x": NaN}\n\n' + STOP])[2] == ("syntax",)
    assert told([WORD + STOP])[2] == ()


# Any JSON in any place

ANY: Final = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.just("1"), st.just(10**400)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["type", "text", "content", "index", "function", "0", "value"]), inner, max_size=3
        ),
    ),
    max_leaves=6,
)
INFORMATIVE: Final = st.sampled_from(
    [
        ("usage",),
        ("usage", "prompt_tokens"),
        ("created",),
        ("id",),
        ("choices", 0, "index"),
        ("choices", 0, "logprobs"),
        ("choices", 0, "logprobs", "content"),
        ("choices", 0, "finish_reason"),
        ("choices", 0, "message"),
        ("choices", 0, "delta", "role"),
        ("choices", 0, "delta", "refusal"),
        ("choices", 0, "delta", "tool_calls"),
        ("choices", 0, "delta", "tool_calls", 0, "index"),
        ("choices", 0, "delta", "tool_calls", 0, "id"),
        ("choices", 0, "delta", "tool_calls", 0, "function"),
        ("choices", 0, "delta", "tool_calls", 0, "function", "name"),
        ("choices", 0, "delta", "tool_calls", 0, "function", "arguments"),
        ("choices", 0, "delta", "function_call"),
        ("choices", 0, "delta", "reasoning_content"),
    ]
)
CARRYING: Final = st.sampled_from(
    [(), ("choices",), ("choices", 0), ("choices", 0, "delta"), ("choices", 0, "delta", "content")]
)


def chunk_with(path: Sequence[str | int], value: Any) -> Any:
    """A regular chunk that says "word" and calls a tool, with `value` in one place."""
    call = {"index": 0, "id": "x", "function": {"name": "f", "arguments": "{}"}}
    chunk: Any = choice({"content": "word", "tool_calls": [call]}, logprobs={"content": []})
    chunk["usage"] = {"prompt_tokens": 1}
    if not path:
        return value
    at = chunk
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    return chunk


@given(path=INFORMATIVE, value=ANY)
def test_any_json_in_any_field_ends_no_answer_and_loses_no_text(path: Sequence[str | int], value: Any) -> None:
    assume(path[-1] != "index" or len(path) > 3 or type(value) is not int)  # 1 is another choice
    deltas, failure, _ = told([data(chunk_with(path, value)), WORD, STOP])
    assert failure == ""
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)].count("word") == 2
    assert isinstance(deltas[-1], End)


@given(path=CARRYING, value=ANY)
def test_any_json_that_should_carry_text_ends_no_answer(path: Sequence[str | int], value: Any) -> None:
    deltas, failure, _ = told([WORD, data(chunk_with(path, value)), WORD, STOP])
    assert failure == ""
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)].count("word") >= 2
    assert isinstance(deltas[-1], End)


def _encoded(chunk: Any, spoilt: bool) -> bytes:
    line = json.dumps(chunk, ensure_ascii=spoilt).encode("utf-8", "surrogatepass")
    return line.replace(b"word", b"wo\xffrd") if spoilt else line


CHUNKS: Final = st.builds(_encoded, st.builds(chunk_with, INFORMATIVE | CARRYING, ANY), st.booleans())
LINES: Final = st.sampled_from(
    [WORD, STOP, b"data: [DONE]", b"event: error", b": hm", b"{", b"}", b"data: {", b"data: x", b"id", b"", b"[1]"]
)
BODIES: Final = st.lists(st.one_of(CHUNKS.map(lambda line: b"data: " + line), LINES), max_size=6)


@given(
    lines=BODIES,
    line_end=st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n"]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf", b"\n "]),
    source=st.data(),
)
def test_any_cutting_of_any_body_gives_the_same_deltas(
    lines: Sequence[bytes], line_end: bytes, mark: bytes, source: st.DataObject
) -> None:
    body = mark + line_end.join(lines) + line_end
    cuts = sorted(source.draw(st.sets(st.integers(0, len(body)), max_size=20)))
    pieces = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert told(pieces) == told([body])


# Bounds


def test_too_many_calls_end_the_answer_as_they_arrive() -> None:
    one: Mapping[str, Any] = {"id": "", "function": {"name": "f", "arguments": "{}"}}
    assert len(read(calls([one] * 128) + STOP)) == 129
    for stream in (calls([one] * 30_000), b"".join([calls([one])] * 30_000)):
        deltas, failure, _ = told([stream])
        assert len(deltas) == 128
        assert failure == "called tools more than 128 times in one answer"


def test_too_many_bytes_of_calls_end_the_answer() -> None:
    first = calls([{"index": 0, "id": "x", "function": {"name": "f", "arguments": "{"}}])
    for function in ({"arguments": " " * 100_000}, {"name": "f" * 100_000}):
        piece = calls([{"index": 0, "function": function}])
        assert told([first, *[piece] * 20, STOP])[1] == ""
        assert told([first, *[piece] * 21, STOP])[1] == "sent more than 2 MiB of tool calls"


@pytest.mark.parametrize("silence", [b"\n", b": keep-alive\n\n" * 500, b"data: {}\n\n" * 50])
def test_too_many_bytes_without_a_word_end_the_answer(silence: bytes) -> None:
    """A word in between begins the count anew."""
    answer = AnswerReader(FAILURES)
    answer._silent_bytes = 64 * 1024**2
    assert answer.feed(WORD) == [TEXT("word")]
    answer.feed(silence)
    assert answer.failure is None
    answer._silent_bytes = 64 * 1024**2
    answer.feed(silence)
    assert isinstance(answer.failure, ModelFailed)
    assert str(answer.failure).endswith("sent more than 64 MiB without a word")


def test_large_events_are_no_silence() -> None:
    """A part of one holds no word."""
    piece = content("a" * 1024**2)
    answer = AnswerReader(FAILURES)
    for _ in range(3):
        answer.feed(piece)
        while answer.is_behind:
            answer.feed(b"")
    assert answer._silent_bytes < 1024**2


@pytest.mark.parametrize("size", [1000, 1024**2])
def test_too_much_text_ends_the_answer(size: int) -> None:
    answer = AnswerReader(FAILURES)
    answer.feed(WORD)
    answer._said = 62 * 1024**2
    for _ in range(3 * 1024**2 // size):
        answer.feed(content("a" * size))
        while answer.is_behind:
            answer.feed(b"")
    assert str(answer.failure).endswith("sent more than 64 MiB of text")
    assert answer.feed(WORD) == []


def test_an_event_of_too_many_values_is_not_decoded() -> None:
    assert told([b'data: {"x": [' + b"0," * 300_000 + b"0]}\n\n"])[1] == "sent an event of more than 200000 values"
    picture = data({**choice({"content": "word"}), "images": ["A" * 4 * 1024**2]})
    assert read(picture + STOP) == [TEXT("word"), STOPPED]
