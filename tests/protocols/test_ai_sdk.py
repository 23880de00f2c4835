"""The AI SDK's stream of random runs: in order, complete, the same for every viewer; and what a request asks."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from aiostream_server.errors import InvalidRequest
from aiostream_server.events import Action, Answer, Entry, Restarted, RunFinished, Token, TokenCount
from aiostream_server.intake.question import Question, Turn
from aiostream_server.protocols.ai_sdk import AI_SDK, options_of
from aiostream_server.protocols.ai_sdk.request import UIMessageOptions, read_request
from aiostream_server.protocols.ai_sdk.stream import UIMessageFrames, files_in
from tests.protocols.telling import CARD, told_runs

OPTIONS = UIMessageOptions()


def frames() -> UIMessageFrames:
    return UIMessageFrames(CARD, OPTIONS)


def stream_of(entries: Sequence[Entry]) -> bytes:
    shown = frames()
    return shown.opening(at_end=False) + shown.encode(entries)


def chunks_of(stream: bytes) -> list[dict[str, Any]]:
    *lines, done, end = stream.decode("ascii").split("\n\n")
    assert (done, end) == ("data: [DONE]", "")
    return [json.loads(line.removeprefix("data: ")) for line in lines]


@given(told_runs())
def test_parts_open_before_they_go_on_and_are_closed_at_the_end(entries: Sequence[Entry]) -> None:
    chunks = chunks_of(stream_of(entries))
    assert [chunk["type"] for chunk in chunks[:2]] == ["start", "start-step"]
    assert chunks[-1]["type"] in ("finish", "abort", "error")
    opened: set[str] = set()
    used: set[str] = set()
    for chunk in chunks:
        match chunk["type"].rpartition("-"):
            case ("text" | "reasoning", _, "start"):
                assert chunk["id"] not in used
                opened = {chunk["id"]}
                used.add(chunk["id"])
            case ("text" | "reasoning", _, "delta"):
                assert chunk["id"] in opened
            case ("text" | "reasoning", _, "end"):
                opened.remove(chunk["id"])
            case ("finish", _, "step"):
                assert not opened


@given(told_runs())
def test_a_tool_has_one_end_and_its_own_id(entries: Sequence[Entry]) -> None:
    chunks = chunks_of(stream_of(entries))
    started = [chunk["toolCallId"] for chunk in chunks if chunk["type"] == "tool-input-start"]
    called = [chunk["toolCallId"] for chunk in chunks if chunk["type"] == "tool-input-available"]
    ended = [chunk["toolCallId"] for chunk in chunks if chunk["type"].startswith("tool-output")]
    waiting = [chunk["toolCallId"] for chunk in chunks if chunk["type"] == "tool-approval-request"]
    of_the_page = [c["toolCallId"] for c in chunks if c["type"] == "tool-input-available" and "dynamic" not in c]
    assert len({*started}) == len(started)
    assert len({*called}) == len(called)
    assert sorted({*started, *called}) == sorted([*ended, *waiting, *of_the_page])


@given(told_runs())
def test_the_text_is_the_answer_and_no_word_comes_twice(entries: Sequence[Entry]) -> None:
    chunks = chunks_of(stream_of(entries))
    text = "".join(chunk["delta"] for chunk in chunks if chunk["type"] == "text-delta")
    begun = max((place for place, entry in enumerate(entries) if isinstance(entry.event, Restarted)), default=0)
    for answer in (entry.event for entry in entries[begun:] if isinstance(entry.event, Answer)):
        assert text.endswith(answer.content) or answer.streamed
    told = "".join(chunk["delta"] for chunk in chunks if "delta" in chunk)
    for token in (entry.event.content for entry in entries if isinstance(entry.event, Token)):
        assert token in told


@given(told_runs(), st.data())
def test_however_entries_are_read_the_bytes_are_the_same(entries: Sequence[Entry], data: st.DataObject) -> None:
    """One by one, in pieces, and by the short way of tokens."""
    shown, sent, at = frames(), b"", 0
    sent += shown.opening(at_end=False)
    while at < len(entries):
        size = data.draw(st.integers(1, 4))
        batch = entries[at : at + size]
        tokens = [entry.event for entry in batch if isinstance(entry.event, Token)]
        short = None
        if len(tokens) == len(batch) and len({(token.agent, token.kind) for token in tokens}) == 1:
            short = shown.encode_tokens(tokens[0].agent, tokens[0].kind, [token.content for token in tokens])
        sent += shown.encode(batch) if short is None else short
        at += size
    assert sent == stream_of(entries)


def asked(*messages: dict[str, Any], **fields: Any) -> Question:
    return read_request(json.dumps({"messages": messages, **fields}).encode(), "m").question


def message(role: str, *parts: str | dict[str, Any]) -> dict[str, Any]:
    as_parts = [{"type": "text", "text": part} if isinstance(part, str) else part for part in parts]
    return {"id": "m1", "role": role, "parts": as_parts}


def approval(output: Any = None, **answered: Any) -> dict[str, Any]:
    part = {"type": "dynamic-tool", "toolName": "approval", "toolCallId": "a", "state": "approval-responded"}
    return {**part, "input": {"question": "May I?"}, "output": output, "approval": {"id": "a", **answered}}


def test_text_parts_are_the_question_and_other_parts_are_nothing_to_the_agents() -> None:
    question = asked(
        message("system", "Be brief."),
        message("user", "first"),
        message("assistant", {"type": "reasoning", "text": "hm"}, "one", {"type": "data-x", "data": 1}, "two"),
        message("user", "sec", "ond"),
    )
    assert question.task == Turn("user", "sec\nond")
    assert question.history == (Turn("system", "Be brief."), Turn("user", "first"), Turn("assistant", "one\n\ntwo"))


@pytest.mark.parametrize(
    ("answered", "output", "reply"),
    [
        ({"approved": True}, None, "yes"),
        ({"approved": False}, None, "no"),
        ({"approved": False, "reason": "only 2024"}, None, "only 2024"),
        ({}, {"approved": False, "reply": "only 2024"}, "only 2024"),
    ],
)
def test_an_answered_approval_is_the_users_turn(answered: dict[str, Any], output: Any, reply: str) -> None:
    turns = asked(
        message("user", "q"),
        message("assistant", "May I?", approval(output, **answered), "Done."),
        message("user", "and?"),
    )
    assert turns.history == (
        Turn("user", "q"),
        Turn("assistant", "May I?"),
        Turn("user", reply),
        Turn("assistant", "Done."),
    )


def test_an_approval_is_ended_by_the_stream_that_follows_it_alone() -> None:
    open_one = read_request(
        json.dumps(
            {"messages": [message("user", "q"), message("assistant", "May I?", approval(approved=True))]}
        ).encode(),
        "m",
    )
    assert open_one.question.task == Turn("user", "yes")
    assert open_one.options.approval is not None
    assert open_one.options.message_id == "m1"
    shown = UIMessageFrames(CARD, open_one.options).opening(at_end=False)
    kinds = [json.loads(line[6:])["type"] for line in shown.decode().split("\n\n") if line]
    assert kinds == ["start", "tool-input-available", "tool-output-available", "start-step"]
    ended = message("assistant", "May I?", approval({"approved": True, "reply": "yes"}))
    assert read_request(json.dumps({"messages": [message("user", "q"), ended]}).encode(), "m").options.approval is None


def test_what_a_resumed_stream_needs_is_kept_with_the_run() -> None:
    read = read_request(
        json.dumps(
            {"messages": [message("user", "q"), message("assistant", "May I?", approval(approved=False))]}
        ).encode(),
        "m",
    )
    assert options_of(structs.replace(CARD, protocol=AI_SDK.name, kept=read.kept)) == read.options
    assert options_of(structs.replace(CARD, protocol="chat", kept=b"{}")) == UIMessageOptions()
    assert read_request(json.dumps({"messages": [message("user", "q")]}).encode(), "m").kept == b""


def test_tools_of_the_page_are_the_questions() -> None:
    question = asked(
        message("user", "q"), tools={"place": {"description": "Where", "parameters": {"type": "object"}}, "time": {}}
    )
    assert [(tool.name, tool.description, tool.parameters) for tool in question.client_tools] == [
        ("place", "Where", {"type": "object"}),
        ("time", "", None),
    ]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "messages"),
        ({"messages": []}, "messages"),
        ({"messages": [message("user")]}, "messages"),
        ({"messages": [message("user", "q")], "id": ""}, "id"),
        ({"messages": [message("user", "q")], "id": "x" * 256}, "id"),
        ({"messages": [message("user", "q")], "id": "a\nb"}, "id"),
        ({"messages": [{"role": "user"}]}, "messages[0].parts"),
        ({"messages": [message("user", {"text": "no type"})]}, "messages[0].parts[0].type"),
        ({"messages": [message("user", "q")], "tools": {"": {}}}, "tools."),
        ({"messages": [message("user", "q")], "tools": [1]}, "tools"),
    ],
)
def test_what_is_wrong_is_named(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_request(json.dumps(body).encode(), "m")
    assert (refused.value.param or "").startswith(param)


def test_own_links_of_an_answer_are_files() -> None:
    answer = "![Sales](https://own/1) and [rows.csv](https://own/2), [doc](https://own/3), ![x](https://other/4), ![Sales](https://own/1)"
    assert list(files_in(answer, lambda url: url.startswith("https://own/"))) == [
        ("https://own/1", "image/*"),
        ("https://own/2", "text/csv"),
        ("https://own/3", "application/octet-stream"),
    ]


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("content_filter", "content-filter"),
        ("refusal", "stop"),
        ("tool_calls", "tool-calls"),
    ],
)
def test_an_end_has_the_ai_sdks_word(reason: Any, told: str) -> None:
    (finish,) = chunks_of(stream_of([Entry(1, 1.0, RunFinished(reason, TokenCount(), 0.1))]))[-1:]
    assert (finish["type"], finish["finishReason"]) == ("finish", told)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ('{"a": 1}', {"a": 1}),
        ("", {}),
        ('{"a": NaN}', '{"a": NaN}'),
        ('{"a": "\\ud800"}', '{"a": "\\ud800"}'),
        ("\ud800", "\ud800"),
        ("[" * 5_000, "[" * 5_000),
    ],
)
def test_arguments_that_are_no_json_are_told_as_text(arguments: str, told: Any) -> None:
    entries = [Entry(1, 1.0, Action("A", "t", arguments, "c")), Entry(2, 1.0, RunFinished("stop", TokenCount(), 0.1))]
    (called,) = (chunk for chunk in chunks_of(stream_of(entries)) if chunk["type"] == "tool-input-available")
    assert called["input"] == told
