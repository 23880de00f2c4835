"""Text without its complete `<details>` blocks, wherever they are not code."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FENCE: Final = re.compile(r" {0,3}(?:(`{3,50})(?!`)[^`\r\n]*$|(~{3,50})(?!~))", re.MULTILINE)
_OPENING: Final = re.compile(r" {0,3}<details(?:\s[^>\r\n]*)?>", re.IGNORECASE)
_CLOSING: Final = re.compile(r"</details>[ \t]*(?:\r\n|\r|\n|\Z)?", re.IGNORECASE)


def without_details(text: str) -> str:
    """In linear time, whatever is nested or never closed."""
    if "</" not in text or "</details>" not in text.lower():
        return text
    kept, at = [], 0
    for start, end in _blocks(text):
        kept.append(text[at:start])
        at = end
    return "".join((*kept, text[at:]))


def _blocks(text: str) -> Sequence[tuple[int, int]]:
    """Where the outermost complete ones stand, in order."""
    open_at: list[int] = []
    blocks: list[tuple[int, int]] = []
    for start, line in _outside_of_code(text):
        if _OPENING.match(line):
            open_at.append(start)
        if open_at and (closing := _CLOSING.search(line)):
            begin = open_at.pop()
            while blocks and blocks[-1][0] > begin:
                blocks.pop()
            blocks.append((begin, start + closing.end()))
    return blocks


def _outside_of_code(text: str) -> Iterator[tuple[int, str]]:
    """Where each line starts, and the line; but for those of fenced code that is complete."""
    lines = [(found.start(), found[0]) for found in _LINE.finditer(text)]
    hopeless = {"`": 51, "~": 51}  # so long a fence is closed by nothing that follows
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number][1])
        mark = (fence[1] or fence[2]) if fence else ""
        if mark and len(mark) < hopeless[mark[0]]:
            if end := _closing_line(lines, number + 1, mark):
                number = end + 1
                continue
            hopeless[mark[0]] = len(mark)
        yield lines[number]
        number += 1


def _closing_line(lines: Sequence[tuple[int, str]], first: int, mark: str) -> int:
    """The number of the line that closes the code; 0 if none does."""
    closes = re.compile(rf" {{0,3}}{mark}[`~]* *[\r\n]*")
    return next((number for number in range(first, len(lines)) if closes.fullmatch(lines[number][1])), 0)
