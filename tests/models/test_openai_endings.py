"""The words that providers end their answers with, each read as one of a few reasons; no word is lost."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.ending import in_words, marked, without_remark
from aiostream_server.models.openai.endings import Ending, ending, is_said


@pytest.mark.parametrize(
    ("reason", "words"),
    {
        "stop": ["stop", "STOP", "end_turn", "eos", "stop_sequence", "COMPLETE", "FINISH_REASON_STOP"],
        "length": ["length", "MAX_TOKENS", "model_length", "max_output_tokens", "model_context_window_exceeded"],
        "function_calls": ["tool_calls", "tool-calls", "tool_use", "function_call", "TOOL_CALL"],
        "content_filter": [
            *("content_filter", "content-filter", "content_filtered", "SAFETY", "RECITATION", "PROHIBITED_CONTENT"),
            *("SPII", "BLOCKLIST", "IMAGE_SAFETY", "guardrail_intervened", "sensitive", "content_filter: OTHER"),
            "ERROR_TOXIC",
        ],
        "refusal": ["refusal"],
        None: [
            *("error", "network_error", "insufficient_system_resource", "abort", "MALFORMED_FUNCTION_CALL", "TIMEOUT"),
            *("UNEXPECTED_TOOL_CALL", "function_call_filter: MALFORMED_FUNCTION_CALL", "malformed_tool_use", "ERROR"),
        ],
        "unknown": ["OTHER", "load", "pause_turn", "repetition"],
    }.items(),
)
def test_words(reason: str | None, words: list[str]) -> None:
    assert {word: ending(word, None).reason for word in words} == dict.fromkeys(words, reason)


@pytest.mark.parametrize(
    ("said", "native", "read"),
    [
        ("stop", "STOP", Ending("stop")),
        ("stop", "SAFETY", Ending("content_filter", "SAFETY")),
        ("stop", "max_output_tokens", Ending("length")),
        ("stop", "MALFORMED_FUNCTION_CALL", Ending(None, "MALFORMED_FUNCTION_CALL")),
        ("error", "MALFORMED_FUNCTION_CALL", Ending(None, "MALFORMED_FUNCTION_CALL")),
        ("tool_calls", "STOP", Ending("function_calls")),
        ("length", "error", Ending("length")),
        (None, "end_turn", Ending("stop")),
        (None, "load", Ending("unknown", "load")),
        (None, None, Ending("unknown")),
        ("null", "", Ending("unknown")),
    ],
)
def test_what_a_gateways_upstream_said(said: str | None, native: str | None, read: Ending) -> None:
    assert ending(said, native) == read


def test_a_refusal_ends_as_one_unless_it_was_cut() -> None:
    assert ending("stop", None, refused=True).reason == "refusal"
    assert ending("content_filter", None, refused=True).reason == "refusal"
    assert ending("length", None, refused=True).reason == "length"


@given(st.text(max_size=80) | st.none(), st.text(max_size=80) | st.none(), st.booleans())
def test_any_word_has_a_meaning(said: str | None, native: str | None, refused: bool) -> None:
    read = ending(said, native, refused=refused)
    assert len(read.native) <= 64
    assert "\n" not in read.native
    if read.reason == "unknown" and is_said(said):
        assert read.native


@given(st.text(), st.sampled_from(["stop", "length", "content_filter", "refusal", "unknown"]))
def test_a_remark_can_be_taken_off_again(text: str, reason: str) -> None:
    told = marked(text, reason)  # type: ignore[arg-type]
    assert without_remark(told) == (text if text.strip() or told == text else told)
    assert in_words(reason, "") is None or told != text  # type: ignore[arg-type]
