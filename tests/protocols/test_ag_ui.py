"""AG-UI's events of random runs: in order, attributed, the same for every viewer; and what an input asks."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from aiostream_server.errors import InvalidRequest
from aiostream_server.events import Answer, Entry, InputRequested, Restarted, RunFinished, Token, TokenCount
from aiostream_server.intake.question import Question, ToolCall, Turn
from aiostream_server.protocols.ag_ui import AG_UI, options_of
from aiostream_server.protocols.ag_ui.request import ThreadOptions, read_input
from aiostream_server.protocols.ag_ui.stream import ThreadFrames
from aiostream_server.protocols.ag_ui.thread import earlier_turns, remembered
from tests.kit.pictures import png
from tests.protocols.telling import CARD, told_runs

OPTIONS = ThreadOptions("talk", "mine")
ENDED = RunFinished("stop", TokenCount(3, 4), 0.1)


def stream_of(entries: Sequence[Entry]) -> bytes:
    shown = ThreadFrames(CARD, OPTIONS)
    return shown.opening(at_end=False) + shown.encode(entries)


def events_of(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    *frames, end = stream_of(entries).decode("ascii").split("\n\n")
    assert end == ""
    return [json.loads(frame.removeprefix("data: ")) for frame in frames]


@given(told_runs())
def test_what_begins_ends_before_the_run_does(entries: Sequence[Entry]) -> None:
    events = events_of(entries)
    assert events[0]["type"] == "RUN_STARTED"
    assert events[-1]["type"] in ("RUN_FINISHED", "RUN_ERROR")
    opened: set[tuple[str, str]] = set()
    for event in events[:-1]:
        kind, _, step = event["type"].rpartition("_")
        named = event.get("messageId") or event.get("toolCallId") or event.get("subagentRunId") or ""
        if kind == "SUBAGENT":
            opened ^= {(kind, event["subagentRunId"])}
        elif step in ("START", "END"):
            opened ^= {(kind, named)}
        elif step in ("CONTENT", "ARGS"):
            assert (kind, named) in opened
        assert None not in event.values(), "absent means absent"
    assert not opened


@given(told_runs())
def test_events_of_a_speaker_are_its_subagents_and_the_answer_is_the_teams(entries: Sequence[Entry]) -> None:
    events = events_of(entries)
    started = {event["subagentRunId"] for event in events if event["type"] == "SUBAGENT_STARTED"}
    calls = {event["toolCallId"]: event.get("subagentRunId") for event in events if event["type"] == "TOOL_CALL_START"}
    for event in events:
        if event["type"].startswith("REASONING"):
            assert event["subagentRunId"] in started
        if event["type"].startswith("TEXT_MESSAGE"):
            assert "subagentRunId" not in event
        if event["type"] == "TOOL_CALL_RESULT":
            assert event.get("subagentRunId") == calls[event["toolCallId"]]


@given(told_runs())
def test_every_token_and_the_answer_is_told(entries: Sequence[Entry]) -> None:
    events = events_of(entries)
    told = "".join(event["delta"] for event in events if event["type"].endswith("_CONTENT"))
    text = "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT")
    for entry in entries:
        if isinstance(entry.event, Token):
            assert entry.event.content in told
        if isinstance(entry.event, Answer) and not entry.event.streamed:
            assert entry.event.content in text
    said = [entry.event for entry in entries]
    begun = max((place for place, event in enumerate(said) if isinstance(event, Restarted)), default=0)
    answers = [event for event in said[begun:] if isinstance(event, Answer)]
    if answers and not answers[-1].streamed:
        assert text.endswith(answers[-1].content)


@given(told_runs(), st.data())
def test_however_entries_are_read_the_bytes_are_the_same(entries: Sequence[Entry], data: st.DataObject) -> None:
    shown, at = ThreadFrames(CARD, OPTIONS), 0
    sent = shown.opening(at_end=False)
    while at < len(entries):
        batch = entries[at : at + data.draw(st.integers(1, 4))]
        tokens = [entry.event for entry in batch if isinstance(entry.event, Token)]
        short = None
        if len(tokens) == len(batch) and len({(token.agent, token.kind) for token in tokens}) == 1:
            short = shown.encode_tokens(tokens[0].agent, tokens[0].kind, [token.content for token in tokens])
        sent += shown.encode(batch) if short is None else short
        at += len(batch)
    assert sent == stream_of(entries)


@pytest.mark.parametrize(("is_approval", "reason"), [(True, "confirmation"), (False, "input_required")])
def test_a_question_to_the_user_is_an_interrupt(is_approval: bool, reason: str) -> None:
    events = events_of([Entry(1, 1.0, InputRequested("Ann", "May I?", is_approval)), Entry(2, 1.0, ENDED)])
    (interrupt,) = events[-1]["outcome"]["interrupts"]
    assert (interrupt["id"], interrupt["reason"], interrupt["message"]) == ("run-1-input", reason, "May I?")
    assert events[-1]["usage"] == [{"inputTokens": 3, "outputTokens": 4}]


def asked(*messages: dict[str, Any], **fields: Any) -> Question:
    return read_input(raw(*messages, **fields), "m").question


def raw(*messages: dict[str, Any], **fields: Any) -> bytes:
    return json.dumps({"threadId": "t", "runId": "r", "messages": messages, **fields}).encode()


def message(role: str, content: Any = None, **fields: Any) -> dict[str, Any]:
    return {"id": "m", "role": role, **({} if content is None else {"content": content}), **fields}


def call(call_id: str, name: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": "{}"}}


def test_the_teams_own_work_in_the_history_is_not_read_again() -> None:
    question = asked(
        message("developer", "Be brief."),
        message("user", "q"),
        message("reasoning", "hm"),
        message("assistant", toolCalls=[call("own", "query")]),
        message("tool", "4 rows", toolCallId="own"),
        message("assistant", "West."),
        message("activity", {"a": 1}, activityType="x"),
        message("user", [{"type": "text", "text": "and?"}]),
        context=[{"description": "place", "value": "Rome"}],
        state={"a": "Käse"},
    )
    assert question.task == Turn("user", "and?")
    assert question.history == (
        Turn("system", 'place: Rome\nThe state of the application, as JSON: {"a":"Käse"}'),
        Turn("system", "Be brief."),
        Turn("user", "q"),
        Turn("assistant", "West."),
    )


@pytest.mark.parametrize("kind", ["data", "url"])
def test_a_picture_of_the_user_is_read(kind: str) -> None:
    head, _, value = png().partition(",")
    source = (
        {"type": "data", "value": value, "mimeType": "image/png"} if kind == "data" else {"type": "url", "value": png()}
    )
    question = asked(message("user", [{"type": "text", "text": "what?"}, {"type": "image", "source": source}]))
    assert [(image.media_type, image.base64) for image in question.task.images] == [("image/png", value)]
    assert head == "data:image/png;base64"


def test_calls_of_the_clients_tools_are_pairs_and_open_ones_are_left_out() -> None:
    tools = [{"name": "place", "description": "Where", "parameters": {"type": "object"}}]
    question = asked(
        message("user", "q"),
        message("assistant", toolCalls=[call("a", "place"), call("b", "place")]),
        message("tool", "Rome", toolCallId="a"),
        tools=tools,
    )
    assert question.history[1:] == (
        Turn("assistant", "", tool_calls=(ToolCall("a", "place", "{}"),)),
        Turn("tool", "Rome", call_id="a"),
    )
    assert [tool.name for tool in question.client_tools] == ["place"]


@pytest.mark.parametrize(
    ("status", "payload", "reply"),
    [
        ("resolved", {"approved": True}, "yes"),
        ("resolved", {"approved": False}, "no"),
        ("resolved", {"approved": False, "reason": "only 2024"}, "only 2024"),
        ("resolved", {"reply": "in 2024"}, "in 2024"),
        ("resolved", "in 2024", "in 2024"),
        ("resolved", True, "yes"),
        ("cancelled", None, "no"),
    ],
)
def test_a_resume_is_the_users_turn(status: str, payload: Any, reply: str) -> None:
    resume = [{"interruptId": "run-1-input", "status": status, "payload": payload}]
    question = asked(message("user", "q"), message("assistant", "May I?"), resume=resume)
    assert question.task == Turn("user", reply)
    assert question.history == (Turn("user", "q"), Turn("assistant", "May I?"))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"threadId": "t", "runId": "r"}, "messages"),
        ({"threadId": "t", "runId": "r", "messages": []}, "messages"),
        ({"threadId": "", "runId": "r", "messages": [message("user", "q")]}, "threadId"),
        ({"threadId": "t", "messages": [message("user", "q")]}, "runId"),
        ({"threadId": "t", "runId": "r", "messages": [message("robot", "q")]}, "messages[0].role"),
        (
            {"threadId": "t", "runId": "r", "messages": [message("user", [{"type": "audio"}])]},
            "messages[0].content[0].type",
        ),
        (
            {
                "threadId": "t",
                "runId": "r",
                "messages": [message("user", [{"type": "image", "source": {"type": "file"}}])],
            },
            "messages[0].content[0].source",
        ),
        (
            {
                "threadId": "t",
                "runId": "r",
                "messages": [message("user", "q")],
                "resume": [{"interruptId": "run-1-input", "status": "resolved", "payload": {}}],
            },
            "resume[0].payload",
        ),
        (
            {
                "threadId": "t",
                "runId": "r",
                "messages": [message("user", "q")],
                "resume": [{"interruptId": "run-1", "status": "cancelled"}],
            },
            "resume[0].interruptId",
        ),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_input(json.dumps(body).encode(), "m")
    assert (refused.value.param or "").startswith(param)


RUN = "run-" + "x" * 24


def test_a_run_keeps_the_messages_that_no_stream_has_told() -> None:
    picture = {"type": "image", "source": {"type": "url", "value": png()}}
    first: list[dict[str, Any]] = [
        {"id": "1", "role": "system", "content": "Be brief."},
        {"id": "2", "role": "assistant", "content": "Hello.", "toolCalls": [call("c", "place")]},
        {"id": "3", "role": "tool", "toolCallId": "c", "content": "Rome"},
        {"id": "4", "role": "user", "content": "what?"},
    ]
    later = {"id": "7", "role": "user", "content": [{"type": "text", "text": "and?"}, picture]}
    told: list[dict[str, Any]] = [
        {"id": f"{RUN}-5", "role": "assistant", "content": "West."},
        {"id": "6", "role": "activity", "activityType": "x"},
        later,
    ]
    assert read_input(raw(*first), "m").options.messages == tuple(first)
    assert read_input(raw(*first, *told), "m").options.messages == ({"id": "7", "role": "user", "content": "and?"},)


def test_what_a_run_keeps_is_bounded() -> None:
    long = "é" * 200_000
    options = read_input(raw(message("user", long), message("user", long), state=long), "m").options
    assert len(options.messages) == 1
    assert options.messages[0]["content"] == long[:65_536]
    assert options.state is None


USER, ANSWER = Turn("user", "yes"), Turn("assistant", "ok")


@pytest.mark.parametrize(
    ("questions", "left"),
    [
        ((), 6),
        (("yes",), 4),
        (("yes", "yes"), 2),
        (("failed", "yes"), 2),
        (("failed",), 6),
        (("", "yes"), 2),
        (("yes", "yes", "yes", "failed"), 0),
    ],
)
def test_remembered_turns_of_runs_that_are_kept_are_not_told_twice(questions: Sequence[str], left: int) -> None:
    assert len(earlier_turns((USER, ANSWER) * 3, questions)) == left


def test_remembered_turns_are_messages() -> None:
    turns = (
        Turn("user", "where?"),
        Turn("assistant", "", tool_calls=(ToolCall("c", "place", "{}"),)),
        Turn("tool", "Rome", call_id="c"),
    )
    snapshot = remembered("t", turns)[1]
    assert snapshot["messages"] == [
        {"id": "earlier-1", "role": "user", "content": "where?"},
        {"id": "earlier-2", "role": "assistant", "content": "", "toolCalls": [call("c", "place")]},
        {"id": "earlier-3", "role": "tool", "content": "Rome", "toolCallId": "c"},
    ]


def test_the_clients_names_are_kept_with_the_run_and_the_same_input_is_the_same_run() -> None:
    first, again, other = (read_input(raw(message("user", said)), "m") for said in ("q", "q", "r"))
    assert options_of(structs.replace(CARD, protocol=AG_UI.name, kept=first.kept)) == first.options
    assert (first.options.thread_id, first.options.run_id) == ("t", "r")
    elsewhere = options_of(structs.replace(CARD, protocol="chat", kept=b"{}", question="what?"))
    assert elsewhere.messages == ({"id": "run-1-question", "role": "user", "content": "what?"},)
    assert first.idempotency_key == again.idempotency_key != other.idempotency_key
    assert first.on_disconnect is None
    kept_on = read_input(raw(message("user", "q"), forwardedProps={"on_disconnect": "continue", "x": 1}), "m")
    assert kept_on.on_disconnect == "continue"
