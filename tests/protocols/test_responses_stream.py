"""Any run as a streamed response: OpenAI's own types and its accumulator accept it, and it can be resumed anywhere."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from aiostream_server.events import (
    Action,
    Answer,
    Dropped,
    Entry,
    Error,
    Event,
    Message,
    ModelCalled,
    Notice,
    Restarted,
    Routing,
    RunFinished,
    RunStarted,
    Thinking,
    Token,
    TokenCount,
    ToolRequested,
    ToolResult,
    Usage,
)
from aiostream_server.events.fixed_notices import RESTARTED
from aiostream_server.present import Page
from aiostream_server.protocols.dialect import DisplayOptions
from aiostream_server.protocols.responses import RESPONSES, ResponseOptions
from aiostream_server.runs.card import RunCard
from tests.present.telling import ANSWERER, Told, runs

BODY = {"model": "team", "input": "hi", "metadata": {"a": "ü"}, "tools": [{"type": "function", "name": "f"}]}
CARD = RunCard("run-" + "x" * 24, "team", None, None, "cancel", 1.7e9, 0, None, None, "responses")
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
DONE = b"data: [DONE]\n\n"
END = RunFinished("stop", TokenCount(7, 5), 0.1)
BROKEN = RunFinished("interrupted", TokenCount(), 0.1)
TRANSCRIPT = DisplayOptions("transcript")
VIEWS = st.sampled_from([TRANSCRIPT, DisplayOptions("answer"), DisplayOptions("reasoning")])


def card(**fields: Any) -> RunCard:
    kept = RESPONSES.question(json.dumps({**BODY, **fields}).encode(), None).kept
    return structs.replace(CARD, kept=kept)


def entries_of(events: Iterable[Event]) -> list[Entry]:
    return [Entry(number, 1.7e9 + number, event) for number, event in enumerate(events, 1)]


def streamed(entries: Sequence[Entry], view: DisplayOptions = TRANSCRIPT, after: int = -1, **fields: Any) -> bytes:
    frames = RESPONSES.stream(card(**fields), ResponseOptions(after), view)
    return frames.opening(at_end=False) + frames.encode(entries)


def in_short(entries: Sequence[Entry], view: DisplayOptions, size: int) -> bytes:
    """As a viewer that keeps up is sent them: tokens by the short way where there is one."""
    frames = RESPONSES.stream(card(), ResponseOptions(), view)
    sent, at = [frames.opening(at_end=False)], 0
    while at < len(entries):
        piece = entries[at : at + size]
        first = piece[0].event
        if isinstance(first, Token):
            same = [each.event for each in piece if isinstance(each.event, Token)]
            if len(same) == len(piece) and all((t.agent, t.kind) == (first.agent, first.kind) for t in same):
                quick = frames.encode_tokens(first.agent, first.kind, [token.content for token in same])
                if quick is not None:
                    sent.append(quick)
                    at += len(piece)
                    continue
        sent.append(frames.encode(piece))
        at += len(piece)
    return b"".join(sent)


def events_in(stream: bytes) -> list[dict[str, Any]]:
    """Checks the frames: a type each, its name in front."""
    frames = stream.decode("ascii").split("\n\n")
    assert frames.pop() == ""
    found = []
    for frame in frames:
        if frame == "data: [DONE]":
            continue
        name, _, data = frame.partition("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        found.append(event)
    return found


def accepted(events: Sequence[dict[str, Any]]) -> Any:
    """The response that OpenAI's accumulator makes of them."""
    state: Any = ResponseStreamState(input_tools=[], text_format=omit)
    for number, event in enumerate(events):
        assert event["sequence_number"] == number
        state.handle_event(EVENT.validate_python(event, strict=True))
    return state


def text_of(response: dict[str, Any]) -> str:
    parts = (part for item in response["output"] if item["type"] == "message" for part in item["content"])
    return "".join(part["text"] for part in parts)


@settings(max_examples=40)
@given(runs(), VIEWS, st.integers(1, 7))
def test_openai_accepts_the_stream_of_any_run_however_it_is_cut(told: Told, view: DisplayOptions, size: int) -> None:
    entries = entries_of(told.events)
    stream = streamed(entries, view)
    assert stream.endswith(DONE)
    assert in_short(entries, view, size) == stream
    events = events_in(stream)
    accepted(events)
    last = events[-1]["response"]
    assert last["status"] in ("completed", "failed")
    assert [json.loads(f"[{','.join(map(json.dumps, last['output']))}]")] == [last["output"]]
    assert {item["status"] for item in last["output"]} <= {"completed", "incomplete"}
    assert last["status"] != "completed" or "incomplete" not in {item["status"] for item in last["output"]}


@settings(max_examples=40)
@given(runs(), VIEWS)
def test_every_word_stands_once_in_the_items(told: Told, view: DisplayOptions) -> None:
    """The answer repeats an earlier message; all else is told once, and without the work only the answer."""
    output = events_in(streamed(entries_of(told.events), view))[-1]["response"]["output"]
    text = json.dumps([item.get("summary") or item.get("content") for item in output], ensure_ascii=False)
    marks = [mark for own in told.marks.values() for mark in own]
    repeated = told.final.content if told.final is not None and not told.final.streamed else ""
    for mark in marks:
        if view.presentation != "answer":
            assert text.count(mark) == 1 + (mark in repeated)
        elif told.final is not None and mark in told.final.content:
            assert mark in text


def test_an_agent_that_speaks_while_an_answer_ends_keeps_its_item() -> None:
    events: Sequence[Event] = [
        RunStarted("m"),
        Token("Ann", "The answer.", "final"),
        Token("Cy", "Well, ", "thinking"),
        Message("Ann", "The answer.", streamed=True),
        Token("Ann", "Hm.", "thinking"),
        Thinking("Ann", "Hm.", streamed=True),
        Token("Cy", "I think.", "thinking"),
        Thinking("Cy", "Well, I think.", streamed=True),
        Answer("Ann", "The answer.", streamed=True),
        END,
    ]
    output = events_in(streamed(entries_of(events), TRANSCRIPT))[-1]["response"]["output"]
    assert output[1]["summary"] == [{"type": "summary_text", "text": "**Cy**\n\nWell, I think."}]


@settings(max_examples=40)
@given(runs(), VIEWS, st.data())
def test_whoever_resumes_at_any_number_gets_exactly_the_rest(told: Told, view: DisplayOptions, data: Any) -> None:
    entries = entries_of(told.events)
    whole = streamed(entries, view)
    frames = whole.split(b"\n\n")[:-1]
    after = data.draw(st.integers(0, len(frames)))
    rest = b"".join(frame + b"\n\n" for frame in frames[after + 1 :])
    assert streamed(entries, view, after) == (rest if after < len(frames) - 1 else DONE)


@settings(max_examples=40)
@given(runs(), VIEWS)
def test_the_whole_response_is_the_last_of_the_stream(told: Told, view: DisplayOptions) -> None:
    entries = entries_of(told.events)
    collector = RESPONSES.whole(card(), ResponseOptions(raises=False), view)
    assert json.loads(collector.body())["status"] == "in_progress"
    collector.add(entries)
    assert json.loads(collector.body()) == events_in(streamed(entries, view))[-1]["response"]


def test_speakers_and_calls_are_reasoning_and_the_answer_is_the_message() -> None:
    told: list[Event] = [
        RunStarted("auto"),
        Routing("Supervisor", "asks for a sum", "general", "General", 0.9, "rules"),
        Token("Helper", "I ", "thinking"),
        Token("Helper", "think.", "thinking"),
        Action("Helper", "calculate", '{"expression": "15% of 850"}', "c1"),
        ToolResult("Helper", "calculate", "127.5", "c1"),
        Action("Helper", "look", '{"a": 1, "b": "x"}', "c2"),
        Action("Helper", "look", "[1]", "c3"),
        ToolResult("Helper", "look", "row\nrow", "c2", summary="2 rows"),
        ToolResult("Helper", "look", "no", "c3", is_error=True),
        Token("Helper", "It is 127.5: [file](https://a.b/c).", "final"),
        Answer("Helper", "It is 127.5: [file](https://a.b/c).", streamed=True),
        Notice("Helper", "This turn is not saved.", "not_kept"),
        END,
    ]
    output = events_in(streamed(entries_of(told)))[-1]["response"]["output"]
    assert [item["summary"][0]["text"] for item in output if item["type"] == "reasoning"] == [
        "🎯 **Supervisor** → General (rules, 90 %): asks for a sum",
        "**Helper**\n\nI think.",
        "calculate(15% of 850) = 127.5",
        "look(a=1, b=x)",
        "look([1])",
        "look = 2 rows",
        "look = failed: no",
    ]
    answer, notice = (item["content"][0] for item in output if item["type"] == "message")
    assert answer["text"] == "It is 127.5: [file](https://a.b/c)."
    assert answer["annotations"] == [
        {"type": "url_citation", "url": "https://a.b/c", "title": "file", "start_index": 13, "end_index": 34}
    ]
    assert notice["text"] == "\n\n📌 *This turn is not saved.*"


def test_open_webui_gets_calls_as_pairs_always_and_its_own_events() -> None:
    """It runs a call that has no output."""
    told: list[Event] = [
        RunStarted("m"),
        Action("A", "query", '{"sql": "SELECT 1"}', "c1"),
        Action("A", "query", "{}", "c2"),
        ToolResult("A", "query", "<b>1</b>", "c1"),
        Token("A", "<details> ", "final"),
        RunFinished("cancelled", TokenCount(), 0.1),
    ]
    view = DisplayOptions("transcript", page=Page())
    stream = streamed(entries_of(told), view)
    frames = [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: {")]
    assert {frame["event"]["type"] for frame in frames if "event" in frame} == {"status", "source"}
    output = next(frame for frame in frames if frame.get("type") == "response.failed")["response"]["output"]
    calls = {item["call_id"]: item for item in output if item["type"] == "function_call"}
    outputs = {item["call_id"]: item["output"][0]["text"] for item in output if item["type"] == "function_call_output"}
    assert list(outputs) == list(calls) == ["own_call_1", "own_call_2"]
    assert outputs["own_call_1"] == "<b>1</b>"
    assert "<details>" not in json.dumps([item for item in output if item["type"] == "message"])


def test_open_webui_gets_text_that_is_sent_at_once_in_one_delta() -> None:
    tokens: list[Event] = [Token("A", "word ", "final")] * 9
    pieces: list[list[Event]] = [
        [RunStarted("m"), *tokens[:3]],
        tokens[3:],
        [Answer("A", "word " * 9, streamed=True), END],
    ]
    frames = RESPONSES.stream(card(), ResponseOptions(), DisplayOptions("transcript", page=Page()))
    deltas = [
        json.loads(line[6:])["delta"]
        for piece in pieces
        for line in frames.encode(entries_of(piece)).decode().splitlines()
        if line.startswith("data: {") and ".delta" in line
    ]
    assert deltas == ["word " * 3, "word " * 6]


def test_calls_of_the_clients_tools_are_open_calls() -> None:
    told: list[Event] = [
        RunStarted("m"),
        Token("A", "I ask.", "thinking"),
        ToolRequested("A", "f", '{"x": 1}', "call_a"),
        ToolRequested("A", "g", "{}", "call_b"),
        RunFinished("tool_calls", TokenCount(), 0.1),
    ]
    events = events_in(streamed(entries_of(told)))
    accepted(events)
    response = events[-1]["response"]
    assert response["status"] == "completed"
    calls = [item for item in response["output"] if item["type"] == "function_call"]
    assert [(item["call_id"], item["name"], item["arguments"]) for item in calls] == [
        ("call_a", "f", '{"x": 1}'),
        ("call_b", "g", "{}"),
    ]


@pytest.mark.parametrize(
    ("told", "statuses"),
    [
        ([RunFinished("length", TokenCount(), 0.1)], ["incomplete"]),
        ([RunFinished("cancelled", TokenCount(), 0.1)], ["incomplete"]),
        ([Error("too slow", "run_timeout"), RunFinished("error", TokenCount(), 0.1)], ["incomplete"]),
        (
            [
                Usage("A", 7, 5, "m"),
                Notice("A", "is cut off", "length"),
                Answer("A", "Half a", streamed=True),
                RunFinished("length", TokenCount(), 0.1),
            ],
            ["incomplete", "completed"],
        ),
        ([Answer("A", "Half a", streamed=True), END], ["completed"]),
        ([ModelCalled("B", "m"), RunFinished("cancelled", TokenCount(), 0.1)], ["completed"]),
    ],
)
def test_an_answer_that_was_cut_off_is_incomplete(told: list[Event], statuses: list[str]) -> None:
    """Also where the team had nothing more to say: its words until then are a whole message in the log."""
    said: list[Event] = [RunStarted("m"), Token("A", "Half a", "final"), Message("A", "Half a", streamed=True)]
    events = events_in(streamed(entries_of([*said, *told])))
    accepted(events)
    assert [item["status"] for item in events[-1]["response"]["output"]] == statuses
    done = [event["item"]["status"] for event in events if event["type"] == "response.output_item.done"]
    assert done == statuses


def test_a_forced_call_is_the_answer() -> None:
    events: list[Event] = [RunStarted("m"), Token("A", "words", "message"), Answer("A", '{"x":1}', tool="f"), END]
    output = events_in(streamed(entries_of(events), tool_choice={"type": "function", "name": "f"}))[-1]["response"][
        "output"
    ]
    assert [item["type"] for item in output] == ["reasoning", "function_call"]
    assert output[1]["arguments"] == '{"x":1}'


@pytest.mark.parametrize(
    ("events", "kind", "status", "details"),
    [
        ([RunFinished("length", TokenCount(), 0.1)], "response.incomplete", "incomplete", "max_output_tokens"),
        ([RunFinished("content_filter", TokenCount(), 0.1)], "response.incomplete", "incomplete", "content_filter"),
        ([RunFinished("cancelled", TokenCount(), 0.1)], "response.failed", "cancelled", None),
        ([RunFinished("interrupted", TokenCount(), 0.1)], "response.failed", "failed", None),
        (
            [Error("rate_limit_exceeded", "slow"), RunFinished("error", TokenCount(), 0)],
            "response.failed",
            "failed",
            None,
        ),
        ([RunFinished("refusal", TokenCount(), 0.1)], "response.completed", "completed", None),
    ],
)
def test_every_end_has_its_status(events: Sequence[Event], kind: str, status: str, details: str | None) -> None:
    told = events_in(streamed(entries_of([RunStarted("m"), Token("A", "half", "final"), *events])))
    accepted(told)
    assert (told[-1]["type"], told[-1]["response"]["status"]) == (kind, status)
    found = told[-1]["response"]["incomplete_details"]
    assert found == (None if details is None else {"reason": details})


def test_the_error_of_a_failed_run_is_one_of_openais_codes() -> None:
    codes = {
        "rate_limit_exceeded": "rate_limit_exceeded",
        "context_length_exceeded": "invalid_prompt",
        "x": "server_error",
    }
    for code, told in codes.items():
        events = entries_of([RunStarted("m"), Error(code, "it broke"), RunFinished("error", TokenCount(), 0.1)])
        assert events_in(streamed(events))[-1]["response"]["error"] == {"code": told, "message": "it broke"}


def test_a_background_response_is_queued_first() -> None:
    events = events_in(streamed([], background=True))
    assert [(each["type"], each["response"]["status"]) for each in events] == [
        ("response.created", "queued"),
        ("response.queued", "queued"),
        ("response.in_progress", "in_progress"),
    ]


def test_a_client_that_resumes_is_told_that_the_beginning_is_gone() -> None:
    """The numbers behind it are not known."""
    rest: list[Event] = [Answer("A", "x"), END]
    entries = [Entry(9, 1.7e9, Dropped(1)), *(Entry(10 + number, 1.7e9, event) for number, event in enumerate(rest))]
    told = events_in(streamed(entries, after=3))
    assert [(event["type"], event.get("code")) for event in told] == [("error", "run_expired")]
    assert events_in(streamed(entries))[-1]["response"]["status"] == "completed"


@pytest.mark.parametrize(
    "end", [[Restarted(2), Token(ANSWERER, "new", "final"), Answer(ANSWERER, "new", streamed=True), END], [BROKEN]]
)
def test_a_viewer_of_a_failed_server_resumes_behind_what_only_that_had_told(end: list[Event]) -> None:
    """Whatever it had seen, the events behind the takeover have the same numbers for all, and no number comes twice."""
    begun = entries_of([RunStarted("m"), *(Token(ANSWERER, f"{each} ", "final") for each in range(9))])
    rest = [Entry(4000 + number, 1.8e9, event) for number, event in enumerate(end)]
    at_the_failed_one = events_in(streamed(begun))
    written = begun[:5]
    gap = Entry(rest[0].seq - 1, 1.8e9, Dropped(written[-1].seq + 1))
    elsewhere = events_in(streamed([*written, gap, *rest]))
    resumed = events_in(streamed([*written, gap, *rest], after=at_the_failed_one[-1]["sequence_number"]))
    numbers = [event["sequence_number"] for event in (*at_the_failed_one, *resumed)]
    assert numbers == sorted(set(numbers))
    assert resumed == elsewhere[-len(resumed) :]
    assert resumed[-1]["type"] == elsewhere[-1]["type"] == f"response.{'failed' if end == [BROKEN] else 'completed'}"
    if end != [BROKEN]:
        assert text_of(resumed[-1]["response"]) == f"0 1 2 3 \n\n{Restarted.sign} *{RESTARTED}*\n\nnew"


def test_long_text_is_several_deltas() -> None:
    text = "wort " * 2_000
    events = events_in(streamed(entries_of([RunStarted("m"), Answer("A", text), END])))
    deltas = [event["delta"] for event in events if event["type"] == "response.output_text.delta"]
    assert len(deltas) == 3
    assert "".join(deltas) == text_of(events[-1]["response"]) == text
    frames = RESPONSES.stream(card(), ResponseOptions(), TRANSCRIPT)
    frames.encode(entries_of([RunStarted("m"), Token(ANSWERER, "a", "final")]))
    assert frames.encode_tokens(ANSWERER, "final", [text]) is None


def test_tokens_that_were_thrown_away_are_encoded_again_with_the_same_numbers() -> None:
    entries = entries_of([RunStarted("m"), Token("A", "a", "final"), Token("A", "b", "final"), END])
    frames = RESPONSES.stream(card(), ResponseOptions(), TRANSCRIPT)
    sent = frames.opening(at_end=False) + frames.encode(entries[:2])
    assert frames.encode_tokens("A", "final", ["b"]) is not None
    assert sent + frames.encode(entries[2:]) == streamed(entries)
