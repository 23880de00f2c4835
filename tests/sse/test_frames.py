"""A frame is one event on one line, whatever was said; no line reaches 64 KiB, where readers of lines give up."""

import json

import pytest
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.events import Action, ToolResult
from aiostream_server.log.memory import MemoryLog
from aiostream_server.present.blocks import tool_block
from aiostream_server.protocols.chat.chunks import ChunkEncoder
from aiostream_server.runs.budget import Budget
from aiostream_server.runs.log_writer import MAX_PIECE_UNITS
from aiostream_server.runs.recorder import Recorder
from aiostream_server.sse.frames import DONE, HEARTBEAT, data_frame, event_frame, retry_frame

_ENCODER = ChunkEncoder("chatcmpl-" + "0" * 32, 1_700_000_000, "m" * 64)
_LINE_LIMIT = 64 * 1024
_WORST = ["\u2028", "😀", "\x00", '"', "\\", "`", "<details", "<", "![", "\n", "\ud800", "ä", "|"]


@given(st.text(st.characters()))
def test_any_text_is_one_line(text: str) -> None:
    """Lone surrogates and every kind of line end, too; and it comes back as it was."""
    frame = data_frame(_ENCODER.content(text))
    assert frame.isascii()
    assert len(frame.decode().splitlines()) == 2
    assert json.loads(frame[6:])["choices"][0]["delta"] == {"content": text}


@pytest.mark.parametrize("data", ["a\nb", "a\rb", "\n"])
def test_more_than_a_line_is_refused(data: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        data_frame(data)


def test_anything_but_ascii_is_refused() -> None:
    with pytest.raises(ValueError, match="ascii"):
        data_frame("ä")


def test_fixed_frames() -> None:
    assert DONE == b"data: [DONE]\n\n"
    assert HEARTBEAT.startswith(b":")


def _recorded(text: str) -> tuple[Action, ToolResult]:
    """What the recorder makes of a tool call and a result of this text."""
    log = MemoryLog("r")
    recorder = Recorder(log, Budget(lambda _: None), {})
    recorder.tool_called("A", FunctionCall("c", text, text))
    recorder.tool_answered("A", FunctionExecutionResult(content=text, name=text, call_id="c"), summary=text)
    action, result = (entry.event for entry in log.since(0))
    assert isinstance(action, Action)
    assert isinstance(result, ToolResult)
    return action, result


@pytest.mark.parametrize("worst", _WORST)
@pytest.mark.parametrize("prefix", ["", "| a |\n| --- |\n"])
def test_the_largest_block_fits_a_line(worst: str, prefix: str) -> None:
    action, result = _recorded(prefix + worst * 20_000)
    for block in (tool_block(action), tool_block(result)):
        assert len(data_frame(_ENCODER.content(block))) < _LINE_LIMIT


@pytest.mark.parametrize(
    "arguments",
    [
        "[" * 900 + "]" * 900,
        "[" + "0," * 3_900 + "0]",
        '{"a":' * 700 + "1" + "}" * 700,
        "[" * 8_000,
        '["' + "ä" * 3990 + '"]',
    ],
    ids=["nested", "long", "nested objects", "too deep", "escapes"],
)
def test_indenting_arguments_does_not_blow_them_up(arguments: str) -> None:
    action, _ = _recorded(arguments)
    assert len(data_frame(_ENCODER.content(tool_block(action)))) < _LINE_LIMIT


def test_what_is_cut_is_cut_between_characters() -> None:
    _, result = _recorded("a" + "😀" * MAX_PIECE_UNITS)
    assert result.truncated
    assert result.content == "a" + "😀" * (MAX_PIECE_UNITS // 2 - 1)


def test_an_event_has_a_type_a_number_and_a_line_of_data() -> None:
    assert event_frame("token", 7, '{"a":1}') == b'event: token\nid: 7\ndata: {"a":1}\n\n'
    with pytest.raises(ValueError, match="one line"):
        event_frame("token", 7, "a\nb")


def test_the_hint_to_reconnect_is_no_event() -> None:
    assert retry_frame(1_000) == b"retry: 1000\n\n"
