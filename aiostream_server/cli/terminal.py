"""A transcript in a terminal: the same signs and names as in a chat page, without the Markdown around them.

Signs and names are the same with and without a terminal; colours are for a terminal only. Of a picture, its title and
where it is.
"""

import html
import re
from typing import Final

from rich.console import Console
from rich.text import Text

from aiostream_server.events import EVENTS, InputRequested

_HEADING: Final = re.compile(r"(?P<gap>\n*)(?P<sign>\S+) \*\*(?P<name>[^*\n]+)\*\*(?P<rest>.*)", re.DOTALL)
_BLOCK: Final = re.compile(
    r"(?P<gap>\n*)<details>\n<summary>(?P<title>.*?)</summary>\n\n(?P<body>.*?)\n*</details>", re.DOTALL
)
_FENCE: Final = re.compile(r"\A(?P<fence>`{3,})[^\n]*\n(?P<text>.*)\n(?P=fence)\Z", re.DOTALL)
_REMARK: Final = re.compile(r"\*(?P<text>[^*\n]+)\*")
_ASKED: Final = re.compile(rf"(?P<gap>\n*)(?P<sign>{InputRequested.sign}) \*(?P<text>[^\n]+)\*")
_RULE: Final = re.compile(r"\|[\s:|-]+\|")
_SIGN_STYLES: Final = {event.sign: f"bold {event.colour}" for event in EVENTS.values() if event.colour}
# Everything that a terminal would obey instead of show: C0 and C1 controls but line ends and tabs, and what turns the
# direction of text around. Models and databases write whatever they like, "approved" in green included.
_OBEYED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_INDENT: Final = "   "
_PICTURE: Final = re.compile(r"!\[(?P<title>[^\]\n]{0,200})\]\((?P<url>https?://[^\s()<>]{1,1000})\)")
_MAX_BLOCK_LINES: Final = 12


class TerminalTranscript:
    """Prints the pieces of one answer as they come; of a long tool call or result its beginning, unless `full`."""

    def __init__(self, console: Console, *, full: bool = False) -> None:
        self._console = console
        self._is_empty = True
        self._max_lines = None if full else _MAX_BLOCK_LINES

    def show(self, piece: str, *, is_aside: bool = False) -> None:
        """Headings and blocks come in one piece each; everything else is text as it is. `is_aside`: not the answer
        itself."""
        if match := _BLOCK.fullmatch(piece):
            self._print(f"{match['gap']}{html.unescape(match['title'])}", "bold")
            self._print("".join(f"\n{_INDENT}{line}" for line in self._block_lines(match["body"])), "dim")
        elif (match := _HEADING.fullmatch(piece)) and match["sign"] in _SIGN_STYLES:
            self._print(f"{match['gap']}{match['sign']} {match['name']}", _SIGN_STYLES[match["sign"]])
            rest = match["rest"]
            self._print(f"\n{rest[2:]}" if rest.startswith("\n\n") else rest)
        elif match := _ASKED.fullmatch(piece):
            self._print(f"{match['gap']}{match['sign']} {match['text']}", "bold")
        else:
            self._print(piece, "dim" if is_aside else "")

    def end(self) -> None:
        """The line that is open ends; there is none where nothing was shown. More may follow."""
        if not self._is_empty:
            self._print("\n")
            self._is_empty = True

    def _block_lines(self, body: str) -> list[str]:
        lines = _plain(body).split("\n")
        shown = lines[: self._max_lines]
        left_out = len(lines) - len(shown)
        return [*shown, f"… {left_out} more lines"] if left_out > 1 else lines

    def _print(self, text: str, style: str = "") -> None:
        self._is_empty = False
        shown = _PICTURE.sub(r"🖼 \g<title>: \g<url>", text)
        self._console.print(Text(harmless(shown), style), end="", soft_wrap=True)


def harmless(text: str) -> str:
    """The text with a visible sign in the place of each character that would steer the terminal."""
    return _OBEYED.sub("\ufffd", text)


def _plain(body: str) -> str:
    """A fenced block without its fence, a remark without its asterisks, a Markdown table with its columns aligned."""
    if match := _FENCE.fullmatch(body) or _REMARK.fullmatch(body):
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
