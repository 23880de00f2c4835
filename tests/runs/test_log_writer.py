"""Every event of a run fits one SSE line, whatever was said, by whom; and nothing is lost or cut without a mark."""

import json
import time
from dataclasses import fields
from typing import Any, get_args

import pytest
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult
from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.events import Action, Answer, Entry, Error, Event, Message, Token, ToolResult
from aiostream_server.events.codec import encode_entry
from aiostream_server.runs.closing_events import tell_answer
from aiostream_server.runs.log_writer import capped, pieces
from aiostream_server.runs.team_ending import TeamEnding
from tests.runs.listening import Listening, listening

_WORST = ["a", "ä", "😀", "\x00", '"', "\ud800"]
_LINE_LIMIT = 64 * 1024 - 100  # `data: `, and the lines beside it


def _lines(run: Listening) -> list[str]:
    lines = [encode_entry("r" * 40, entry) for entry in run.log.since(0)]
    assert max(map(len, lines)) < _LINE_LIMIT
    return lines


def _tokens(run: Listening) -> str:
    return "".join(event.content for event in run.told if isinstance(event, Token))


@pytest.mark.parametrize("char", _WORST)
def test_absurdly_long_everything(char: str) -> None:
    long = char * 70_000
    run = listening()
    recorder = run.recorder
    recorder.thought(long, long)
    recorder.whole(long, long)
    recorder.tell(Message(long, long))
    recorder.verdict(long, long, approved=True, call_id=long)
    recorder.tool_called(long, FunctionCall(long, long, long))
    recorder.tool_answered(long, FunctionExecutionResult(content=long, name=long, call_id=long), summary=long)
    recorder.tool_summary(long, long)
    tell_answer(recorder, TeamEnding())
    for line in _lines(run):
        body = json.loads(line)
        assert body.get("truncated") or len(body.get("content", "")) < 8_001
    (action,) = (event for event in run.told if isinstance(event, Action))
    (result,) = (event for event in run.told if isinstance(event, ToolResult))
    assert action.truncated
    assert result.truncated
    assert action.call_id == result.call_id


@pytest.mark.parametrize("char", ["a", "😀"])
@pytest.mark.parametrize("how", ["thought", "whole", "tool_summary"])
def test_a_long_whole_message_arrives_complete_as_tokens(how: str, char: str) -> None:
    long = char * 70_001
    run = listening("A", answer_from=["A"])
    getattr(run.recorder, how)("A", long)
    assert _tokens(run) == long
    assert getattr(run.told[-1], "streamed", None) is True
    tell_answer(run.recorder, TeamEnding())
    if how in ("whole", "tool_summary"):
        assert run.told[-1] == Answer("A", long, streamed=True)
        assert {event.kind for event in run.told if isinstance(event, Token)} == {"final"}


def test_a_short_one_is_told_once() -> None:
    run = listening("A", "B")
    run.recorder.whole("A", "x" * 4_000)
    assert run.told == [Message("A", "x" * 4_000)]


def test_a_short_one_of_an_answering_agent_is_told_as_a_part_of_the_answer() -> None:
    run = listening("A", "B", answer_from=["A"])
    run.recorder.whole("A", "x")
    tell_answer(run.recorder, TeamEnding())
    assert run.told == [Token("A", "x", "final"), Message("A", "x", streamed=True), Answer("A", "x", streamed=True)]


@given(st.text(st.sampled_from([*_WORST, "b"]), max_size=300).map(lambda text: text * 80))
@settings(max_examples=50)
def test_pieces_are_the_text(text: str) -> None:
    assert "".join(pieces(text)).replace("?", "\ud800") == text
    assert all(piece and len(piece.encode("utf-16-le", "replace")) <= 16_000 for piece in pieces(text))
    assert next(iter(pieces(text)), "") == capped(text)


def test_cutting_takes_linear_time() -> None:
    """Four times the text takes about four times the CPU time, not sixteen times."""

    def cut(count: int) -> float:
        """Of three times, the least: other processes on the machine make it dearer, never cheaper."""
        took_s: list[float] = []
        for _ in range(3):
            started = time.process_time()
            assert sum(map(len, pieces("😀" * count))) == count
            took_s.append(time.process_time() - started)
        return min(took_s)

    assert cut(4_000_000) < 10 * cut(1_000_000)


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.type)
@pytest.mark.parametrize("char", ["a", "😀", "\x00"])
def test_an_event_of_any_size_is_a_line_below_64_kib(kind: Any, char: str) -> None:
    """Also one that no writer has seen; what is cut is marked. But a client needs all of a call that it is to run."""
    texts = {each.name: char * 100_000 for each in fields(kind) if each.type in ("str", "str | None", str)}
    others = {each.name: 1 for each in fields(kind) if each.name not in texts and each.name != "usage"}
    if kind.type == "run_finished":
        return  # nothing in it is anybody's words
    line = encode_entry("r", Entry(1, 0.0, kind(**texts, **others)))
    if kind.type == "tool_requested":
        assert json.loads(line)["arguments"] == texts["arguments"]
        return
    assert len(line) < _LINE_LIMIT
    assert bool(json.loads(line).get("truncated")) == bool(texts) or "truncated" in others


def test_an_error_is_cut_only_where_it_must() -> None:
    line = json.loads(encode_entry("r", Entry(1, 0.0, Error("c", "m" * 500))))
    assert line["message"] == "m" * 500
    assert "truncated" not in line


async def test_the_turn_that_is_too_much_is_not_told() -> None:
    run = listening("A", "B", max_turns=1)
    await run.tapped("A", "one ", "turn")
    assert not run.ends
    await run.tapped("B", "another")
    run.recorder.whole("B", "and one more")
    assert {end.code for end in run.ends if isinstance(end, Error)} == {"too_many_turns"}
    assert _tokens(run) == "one turn"
    assert [event.content for event in run.told if isinstance(event, Message)] == ["one turn"]
