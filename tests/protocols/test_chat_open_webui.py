"""Events of Open WebUI's own are what its source reads, one short line each."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from aiostream_server.protocols.chat.open_webui import source_frame, status_frame
from tests.protocols.test_chat_chunks import ANY_TEXT, nulls


def test_a_status() -> None:
    assert json.loads(status_frame("A is thinking…", done=False)) == {
        "event": {"type": "status", "data": {"description": "A is thinking…", "done": False}}
    }


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
