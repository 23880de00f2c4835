"""What Open WebUI's page is sent of a run, and in which order."""

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.config.model import Presentation
from aiostream_server.events import (
    Answer,
    Entry,
    Error,
    Event,
    InputRequested,
    Message,
    Notice,
    RunFinished,
    Token,
    TokenCount,
    Usage,
)
from aiostream_server.present import Page, new_presenter
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.protocols.chat.open_webui import PageFrames
from aiostream_server.protocols.chat.stream import ChatFrames
from tests.present.telling import Told, runs
from tests.present.test_transcript import DATA_RUN


def frames_for(presentation: Presentation = "answer", *, is_page: bool = True) -> ChatFrames:
    presenter = new_presenter(presentation, Page() if is_page else None)
    page = PageFrames() if is_page else None
    return ChatFrames(presenter, ChunkEncoder("id", 1, "m"), include_usage=False, page=page)


def encode(frames: ChatFrames, *events: Event) -> list[str]:
    entries = [Entry(number, 0.0, event) for number, event in enumerate(events, 1)]
    return frames.encode(entries).decode("ascii").split("\n\n")[:-1]


def kinds(lines: Sequence[str]) -> list[str]:
    return [_kind(line.removeprefix("data: ")) for line in lines]


def _kind(line: str) -> str:
    if line == "[DONE]":
        return "done"
    body: dict[str, Any] = json.loads(line)
    if "event" in body:
        data = body["event"]["data"]
        return "source" if body["event"]["type"] == "source" else data["description"]
    if "error" in body:
        return "error"
    if "usage" in body:
        assert body["choices"] == []
        return "usage"
    delta = body["choices"][0]["delta"]
    return delta.get("content") or delta.get("reasoning_content") or "finish"


def test_what_happens_is_told_before_what_is_said_and_the_last_status_before_the_end() -> None:
    assert kinds(encode(frames_for(), *DATA_RUN)) == [
        "Choosing a team…",
        "Data analysis: asks for totals by region",
        "SQLAgent · thinking…",
        "SQLAgent · query…",
        "ValidationAgent approved the query",
        "SQLAgent queried: 1 row",
        "source",
        "AnalysisAgent · answering…",
        "North, by far.",
        "finish",
        "usage",
        "Done in 1.0 s · 3 agents",
        "done",
    ]


def test_other_clients_are_sent_none_of_it() -> None:
    assert kinds(encode(frames_for(is_page=False), *DATA_RUN)) == ["North, ", "by far.", "finish", "done"]


def test_an_error_and_what_was_held_back_before_it() -> None:
    events: list[Event] = [
        Token("A", "half <", "final"),
        Error("c", "it broke"),
        RunFinished("error", TokenCount(), 1.0),
    ]
    assert kinds(encode(frames_for(), *events)) == [
        "A · answering…", "half <", "error", "finish", "usage", "Failed after 1.0 s", "done"
    ]  # fmt: skip


def test_a_run_that_waits_for_a_person() -> None:
    events: list[Event] = [Answer("A", "Which?"), InputRequested("A", "Which?"), RunFinished("stop", TokenCount(), 1.0)]
    assert kinds(encode(frames_for(), *events)) == [
        "A · answering…", "Which?", "Waiting for your answer", "finish", "usage", "done"
    ]  # fmt: skip


def test_text_that_is_sent_at_once_is_one_delta_and_blocks_are_their_own() -> None:
    tokens = [Token("A", f"{number} ", "final") for number in range(5)]
    frames = frames_for()
    assert kinds(encode(frames, *tokens[:1])) == ["A · answering…", "0 "]
    assert kinds(encode(frames, tokens[1], Usage("A", 1, 1), *tokens[2:])) == ["1 2 3 4 "]
    said = kinds(encode(frames_for("transcript"), *DATA_RUN))
    assert "\n\n🤔 **SQLAgent**\n\nI look up the totals." in said
    blocks = [kind for kind in said if "<details>" in kind]
    assert [(block.count("<details>"), block.count("</details>")) for block in blocks] == [(1, 1)] * 2


def test_long_text_is_still_cut() -> None:
    tokens = [Token("A", "x" * 3_000, "final")] * 5
    said = kinds(encode(frames_for(), *tokens))[1:]
    assert [len(each) for each in said] == [4_000, 4_000, 4_000, 3_000]


def test_reasoning_and_answer_are_not_merged() -> None:
    said = kinds(encode(frames_for("reasoning"), Token("A", "hm", "thinking"), Token("B", "so", "final")))
    assert said == ["A · thinking…", "🤔 **A**\n\nhm"]  # B waits for A


@given(runs(), st.sampled_from(["transcript", "reasoning", "answer"]), st.booleans())
def test_tokens_that_are_taken_as_they_are_give_the_same_bytes(
    told: Told, presentation: Presentation, is_page: bool
) -> None:
    """As a viewer that keeps up is given them: each alone, and by the long way where the short one refuses."""
    long, short = (frames_for(presentation, is_page=is_page) for _ in range(2))
    for number, event in enumerate(told.events, 1):
        entry = Entry(number, 0.0, event)
        encoded = short.encode_tokens(event.agent, event.kind, [event.content]) if isinstance(event, Token) else None
        assert (short.encode([entry]) if encoded is None else encoded) == long.encode([entry])


def test_tokens_that_go_on_are_taken_as_they_are_until_something_else_is_shown() -> None:
    frames = frames_for(is_page=False)
    assert frames.encode_tokens("A", "final", ["x"]) is None
    encode(frames, Token("A", "a", "final"), Token("A", "b", "final"))
    assert kinds((frames.encode_tokens("A", "final", ["x", "y"]) or b"").decode().split("\n\n")[:-1]) == ["x", "y"]
    assert frames.encode_tokens("B", "final", ["x"]) is None
    assert frames.encode_tokens("A", "thinking", ["x"]) is None
    assert frames.encode_tokens("A", "final", ["x", "y" * 5_000]) is None
    encode(frames, Answer("A", "ab", streamed=True))
    assert frames.encode_tokens("A", "final", ["x"]) is None


CUT: list[list[Event]] = [
    [Notice("W", "W reached its limit: the answer is cut off", "length"), RunFinished("length", TokenCount(), 1.0)],
    [Notice("W", "W was cut off by a filter", "content_filter"), RunFinished("content_filter", TokenCount(), 1.0)],
    [RunFinished("interrupted", TokenCount(), 1.0)],
    [Error("run_timeout", "too long"), RunFinished("error", TokenCount(), 1.0)],
    [Error("model_timeout", "too long"), RunFinished("error", TokenCount(), 1.0)],
]


@pytest.mark.parametrize("presentation", ["transcript", "reasoning", "answer"])
@pytest.mark.parametrize("ending", CUT, ids=lambda events: events[-1].reason)
@pytest.mark.parametrize("has_begun", [True, False])
def test_an_answer_that_was_cut_says_so_once_at_its_end(
    presentation: Presentation, ending: list[Event], *, has_begun: bool
) -> None:
    said: list[Event] = [Token("W", "Half", "final"), Message("W", "Half", streamed=True)] if has_begun else []
    frames = [json.loads(line.removeprefix("data: ")) for line in encode(frames_for(presentation), *said, *ending)[:-1]]
    text = "".join(frame["choices"][0]["delta"].get("content", "") for frame in frames if frame.get("choices"))
    lines = [line for line in text.split("\n\n") if line.startswith("📌")]
    assert text.endswith(lines[-1])
    assert sum("cut" in line or "ended" in line or "restarted" in line for line in lines) == 1
    assert text == text.lstrip()
    assert ("Half" in text) == has_begun
    assert ("Continue response" in text) == (ending[-1] != CUT[1][-1])
