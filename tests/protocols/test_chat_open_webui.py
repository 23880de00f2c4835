"""Events of Open WebUI's own are what its source reads, one short line each."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.errors import IdleTimeout, ModelTimeout, RunTimeout
from aiostream_server.events import Error, FinishReason
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.protocols.chat.open_webui import cut_line, source_frame, status_frame
from tests.protocols.test_chat_chunks import ANY_TEXT, nulls


def test_a_status() -> None:
    """Only the last one says `done`: the page shows `false` as going on, also when nothing follows."""
    assert json.loads(status_frame("A is thinking…", done=False)) == {
        "event": {"type": "status", "data": {"description": "A is thinking…"}}
    }
    assert json.loads(status_frame("Stopped", done=True))["event"]["data"] == {"description": "Stopped", "done": True}


@pytest.mark.parametrize(
    ("reason", "code", "words"),
    [
        ("length", None, "token limit"),
        ("content_filter", None, "content filter"),
        ("interrupted", None, "restarted"),
        ("error", RunTimeout.code, "time limit"),
        ("error", IdleTimeout.code, "time limit"),
        ("error", ModelTimeout.code, "time limit"),
    ],
)
def test_an_answer_that_was_cut_says_so_at_its_end_and_the_line_does_not_come_back(
    reason: FinishReason, code: str | None, words: str
) -> None:
    line = cut_line(reason, None if code is None else Error(code, "it took too long"))
    assert words in line
    assert undecorate(f"Half an ans\n\n{line}") == "Half an ans"
    assert undecorate(f"✅ **A**\n\nHalf an ans\n\n{line}") == "Half an ans"


@pytest.mark.parametrize(("reason", "code"), [("stop", None), ("cancelled", None), ("error", "model_failed")])
def test_other_answers_have_no_such_line(reason: FinishReason, code: str | None) -> None:
    assert cut_line(reason, None if code is None else Error(code, "no")) == ""


def test_a_source() -> None:
    assert json.loads(source_frame("SQL query 1", "text")) == {
        "event": {
            "type": "source",
            "data": {
                "source": {"name": "SQL query 1"},
                "document": ["text"],
                "metadata": [{"source": "SQL query 1", "name": "SQL query 1"}],
            },
        }
    }


@given(ANY_TEXT, st.sampled_from([1, 20_000, 100_000]))
@settings(deadline=None)  # megabytes of text are made here, which takes what it takes
def test_a_line_is_one_line_shorter_than_64_kib_without_nulls(text: str, times: int) -> None:
    for line in (status_frame(text * times, done=True), source_frame(text * times, text * times)):
        assert line.isascii()
        assert len(line.splitlines()) == 1
        assert len(line) < 62_000
        assert not nulls(json.loads(line))
        assert "choices" not in json.loads(line)


def test_what_is_cut_says_so() -> None:
    assert json.loads(source_frame("n", "😀" * 50_000))["event"]["data"]["document"][0].endswith("😀…")
