"""What a terminal is given to show."""

import io
import re

from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from aiostream_server.cli.printing import without_controls
from aiostream_server.cli.terminal import TerminalTranscript


def shown(*pieces: str, colours: bool = False) -> str:
    out = io.StringIO()
    transcript = TerminalTranscript(Console(file=out, force_terminal=colours, highlight=False, markup=False))
    for piece in pieces:
        transcript.show(piece)
    transcript.end()
    return out.getvalue()


def test_nothing_shown_is_no_line() -> None:
    assert shown() == ""


def test_a_model_cannot_steer_the_terminal() -> None:
    """Retitle it, clear it, colour a verdict, write the clipboard."""
    hostile = "\x1b]0;PWNED\x07\x1b[2J\x9b31m\x1b]52;c;ZXZpbA==\x07\u202eok"
    block = f"<details>\n<summary>📦 rows</summary>\n\n| a |\n| --- |\n| {hostile} |\n\n</details>"
    for piece in (hostile, f"✅ **Name{hostile}**\n\nhi", block):
        assert not re.search(r"[\x1b\x07\x9b\u202e]", shown(piece))


@given(st.text())
def test_only_line_ends_and_tabs_are_obeyed(text: str) -> None:
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", without_controls(text))
    assert len(without_controls(text)) == len(text)


def test_a_picture_is_its_title_and_its_url() -> None:
    link = "http://127.0.0.1:8000/v1/files/file-x?expires=1&signature=y"
    assert shown(f"✅ **Analyst**\n\n![Sales by month]({link})\n\n", "Words.") == (
        f"✅ Analyst\n🖼 Sales by month: {link}\n\nWords.\n"
    )
    assert "\x1b" not in shown(f"![\x1b[31m]({link})")


def test_a_request_for_input_has_no_asterisks() -> None:
    assert (
        shown("Which year?", "\n\n🙋 *Desk waits for your answer*") == "Which year?\n\n🙋 Desk waits for your answer\n"
    )


def test_a_long_line_of_a_result_is_shortened_and_a_remark_below_a_fence_has_no_asterisks() -> None:
    block = "📦 big</summary>\n\n```text\n{}\n```\n\n*… more was left out*"
    piece = f"<details>\n<summary>{block.format('x' * 7_900)}\n\n</details>"
    assert shown(piece) == f"📦 big\n   {'x' * 600} … 7,300 more characters\n   … more was left out\n"
    out = io.StringIO()
    TerminalTranscript(Console(file=out, highlight=False), full=True).show(piece)
    assert "x" * 7_900 in out.getvalue()
