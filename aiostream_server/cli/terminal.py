"""A run shown in the terminal while it goes on.

The transcript has the same signs and names as in a chat page, without Markdown. Colours need a terminal. A picture is
shown as its title and its URL.
"""

import html
import re
from typing import Final

import click
from rich.console import Console
from rich.text import Text

from aiostream_server.cli.printing import without_controls
from aiostream_server.client import RunStream
from aiostream_server.events import EVENTS, Dropped, InputRequested, Notice
from aiostream_server.present import Presenter
from aiostream_server.present.shown import Channel

_HEADING: Final = re.compile(r"(?P<gap>\n*)(?P<sign>\S+) \*\*(?P<name>[^*\n]+)\*\*(?P<rest>.*)", re.DOTALL)
_BLOCK: Final = re.compile(
    r"(?P<gap>\n*)<details>\n<summary>(?P<title>.*?)</summary>\n\n(?P<body>.*?)\n*</details>", re.DOTALL
)
_FENCE: Final = re.compile(
    r"\A(?P<fence>`{3,})[^\n]*\n(?P<text>.*)\n(?P=fence)(?:\n\n\*(?P<remark>[^*\n]+)\*)?\Z", re.DOTALL
)
_REMARK: Final = re.compile(r"\*(?P<text>[^*\n]+)\*")
_ASIDE: Final = re.compile(rf"(?P<gap>\n*)(?P<sign>{InputRequested.sign}|{Notice.sign}) \*(?P<text>[^\n]+)\*")
_RULE: Final = re.compile(r"\|[\s:|-]+\|")
_SIGN_STYLES: Final = {event.sign: f"bold {event.colour}" for event in EVENTS.values() if event.colour}
_INDENT: Final = "   "
_PICTURE: Final = re.compile(r"!\[(?P<title>[^\]\n]{0,200})\]\((?P<url>https?://[^\s()<>]{1,1000})\)")
_MAX_BLOCK_LINES: Final = 12
_MAX_LINE_CHARS: Final = 600  # more than a signed link has


class TerminalTranscript:
    """Prints the pieces of one answer as they come. Shortens long tool calls and results, unless `full`."""

    def __init__(self, console: Console | None = None, *, full: bool = False) -> None:
        self._console = console or Console(highlight=False, markup=False, emoji=False)
        self._is_empty = True
        self._max_lines = None if full else _MAX_BLOCK_LINES

    def show(self, piece: str, *, is_aside: bool = False) -> None:
        """Print one piece: a whole heading, a whole block, or text. An aside, which is not the answer, is dimmed."""
        if match := _BLOCK.fullmatch(piece):
            self._print(f"{match['gap']}{html.unescape(match['title'])}", "bold")
            self._print("".join(f"\n{_INDENT}{line}" for line in self._block_lines(match["body"])), "dim")
        elif (match := _HEADING.fullmatch(piece)) and match["sign"] in _SIGN_STYLES:
            self._print(f"{match['gap']}{match['sign']} {match['name']}", _SIGN_STYLES[match["sign"]])
            rest = match["rest"]
            self._print(f"\n{rest[2:]}" if rest.startswith("\n\n") else rest)
        elif match := _ASIDE.fullmatch(piece):
            self._print(f"{match['gap']}{match['sign']} {match['text']}", "bold")
        else:
            self._print(piece, "dim" if is_aside else "")

    def end(self) -> None:
        """End the open line, if there is one. More pieces may follow."""
        if not self._is_empty:
            self._print("\n")
            self._is_empty = True

    def _block_lines(self, body: str) -> list[str]:
        lines = _plain(body).split("\n")
        shown = lines[: self._max_lines]
        left_out = len(lines) - len(shown)
        if left_out == 1:
            shown, left_out = lines, 0
        if self._max_lines is not None:
            shown = [_shortened(line) for line in shown]
        return [*shown, f"… {left_out} more lines"] if left_out else shown

    def _print(self, text: str, style: str = "") -> None:
        self._is_empty = False
        shown = _PICTURE.sub(r"🖼 \g<title>: \g<url>", text)
        self._console.print(Text(without_controls(shown), style), end="", soft_wrap=True)


def _shortened(line: str) -> str:
    left_out = len(line) - _MAX_LINE_CHARS
    return line if left_out <= 0 else f"{line[:_MAX_LINE_CHARS]} … {left_out:,} more characters"


def _plain(body: str) -> str:
    """Remove the fence of a code block and the asterisks of a remark; align the columns of a Markdown table."""
    if match := _FENCE.fullmatch(body):
        return match["text"] if match["remark"] is None else f"{match['text']}\n{match['remark']}"
    if match := _REMARK.fullmatch(body):
        return match["text"]
    return _aligned(body) if body.startswith("|") else body


def _aligned(table: str) -> str:
    lines = table.split("\n")
    rows = [_cells(line) for line in lines if line.startswith("|") and not _RULE.fullmatch(line)]
    after = [line for line in lines if not line.startswith("|")]
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    aligned = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(line.rstrip() for line in [*aligned, *after]).rstrip()


def _cells(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip().strip("|"))
    return [html.unescape(cell.strip().replace("\\|", "|")) for cell in cells]


async def show_run(stream: RunStream, presenter: Presenter, transcript: TerminalTranscript) -> InputRequested | None:
    """Show a run to its end. Returns what the team asks for, if it waits for a reply. Raises `ClientError`."""
    asked: InputRequested | None = None
    channel: Channel | None = None
    async for event in stream:
        for shown in presenter.show(event):
            if channel not in (None, shown.channel):
                transcript.show("\n\n")  # a chat page shows the reasoning and the answer in separate places
            channel = shown.channel
            transcript.show(shown.text, is_aside=channel == "reasoning")
        if isinstance(event, Dropped):
            remark("a part of the run is missing: the server keeps it no longer")
        elif isinstance(event, InputRequested):
            asked = event
    return asked


def remark(text: str) -> None:
    """Print a remark on stderr, on a line of its own: the answer may be in the middle of a line."""
    click.echo(f"\n[{without_controls(text)}]", err=True)
