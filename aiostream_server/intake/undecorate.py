"""Takes the decoration out of an earlier answer that a client sends back: signs, headings, and blocks for people.

An agent that reads our decoration as its own earlier words imitates it. Only a text that begins as our transcripts do
counts as a transcript: what remains of it is the answer (✅), or, where no answer is marked, everything that was said,
without the speakers. `<details>` blocks are taken out of any text, since Open WebUI makes some itself; so are, at the
end, notices of what the server does not remember and of where an answer was cut. What was said before a team
began again is left out. All else stays as it is: models write signs and bold words, too.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from aiostream_server.events import (
    SPEECHES,
    Action,
    Answer,
    Error,
    InputRequested,
    Notice,
    Restarted,
    Routing,
    Thinking,
    ToolResult,
    Validation,
)
from aiostream_server.events.breaks import without_breaks, without_quotes
from aiostream_server.events.fixed_notices import FIXED_NOTICES, RESTARTED

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_FENCE: Final = re.compile(r" {0,3}(?:(`{3,50})(?!`)[^`\r\n]*$|(~{3,50})(?!~))", re.MULTILINE)
_OPENING: Final = re.compile(r" {0,3}<details(?:\s[^>\r\n]*)?>", re.IGNORECASE)
_CLOSING: Final = re.compile(r"</details>[ \t]*(?:\r\n|\r|\n|\Z)?", re.IGNORECASE)
_BLOCK_SIGNS: Final = f"{Action.sign}|{ToolResult.sign}|{Thinking.sign}"
_BLOCK: Final = re.compile(rf"^<details>\n<summary>(?:{_BLOCK_SIGNS}).*</summary>$", re.MULTILINE)
_BLOCK_END: Final = re.compile(r"^</details>[ \t]*\n?", re.MULTILINE)
_SIGNS: Final = frozenset(speech.sign for speech in SPEECHES.values())
_SPEECH: Final = "|".join(sorted(_SIGNS))
# A speaker stands alone on its line; only a verdict and a routing decision have text on the same line.
_HEADING: Final = re.compile(
    rf"(?:(?P<sign>{_SPEECH}) \*\*[^*\n]+\*\*(?=\n\n|\Z)"
    rf"|(?P<verdict>{Validation.sign}) \*\*[^*\n]+\*\* [^\n]*(?=\n\n|\Z)"
    rf"|{Routing.sign} \*\*[^*\n]+\*\* [^\n]*(?=\n\n|\Z))"
)
_OURS: Final = re.compile(
    rf"[\r\n]*[ \t]{{0,3}}(?:(?:{_SPEECH}|{Routing.sign}) \*\*[^*\r\n]+\*\*|<details>\r?\n<summary>(?:{_BLOCK_SIGNS})"
    rf"|{InputRequested.sign} \*)"
)
_ERROR: Final = re.compile(rf"(?:\A|\n\n){Error.sign} [^\n]*\Z")
_REMARK: Final = re.compile(
    rf"^(?:{InputRequested.sign} \*[^\n]+ waits for your answer\*|{Notice.sign} \*[^*\n]+\*)$", re.MULTILINE
)
_FIXED_NOTICES: Final = re.compile(rf"(?:\s*{Notice.sign} \*(?:{'|'.join(map(re.escape, FIXED_NOTICES))})\*)+\s*\Z")

_BEGUN_AGAIN: Final = f"{Restarted.sign} *{RESTARTED}*"


def undecorate(text: str) -> str:
    """The words of an earlier answer, without decoration."""
    if text.isascii() and "<" not in text:  # neither a sign of ours nor a block
        return text.strip()
    if Restarted.sign in text:
        text = text.rpartition(_BEGUN_AGAIN)[2].strip()
    if Notice.sign in text:
        text = _FIXED_NOTICES.sub("", text)
    is_ours = _OURS.match(text) is not None
    words = without_details(_without_own_blocks(text))
    if is_ours:
        words = words.replace("\r\n", "\n")
        if InputRequested.sign in words or Notice.sign in words:
            words = _REMARK.sub("", words)
        return _said(words.strip())
    return _as_said(words)


def _as_said(words: str) -> str:
    """What an agent said, from what a page was sent."""
    return without_breaks(without_quotes(words.strip())).strip()


def _headings(text: str) -> Iterator[re.Match[str]]:
    """Each begins the text, or follows a blank line. A search of the expression itself would try it everywhere."""
    at = 0
    while True:
        if found := _HEADING.match(text, at):
            yield found
        gap = text.find("\n\n", max(at - 1, 0))
        if gap < 0:
            return
        at = gap + 2


def _said(transcript: str) -> str:
    text = _ERROR.sub("", transcript) if Error.sign in transcript else transcript
    headings = list(_headings(text))
    if not headings:
        return _as_said(text)
    said: list[tuple[str, str]] = [("", text[: headings[0].start()])]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        said.append((heading["sign"] or heading["verdict"] or Routing.sign, text[heading.end() : end]))
    answers = [words for sign, words in said if sign == Answer.sign]
    others = [words for sign, words in said if sign in _SIGNS or not sign]
    return "\n\n".join(words for words in map(_as_said, answers or others) if words)


def _without_own_blocks(text: str) -> str:
    kept, at = [], 0
    while (begin := _BLOCK.search(text, at)) and (end := _BLOCK_END.search(text, begin.end())):
        kept.append(text[at : begin.start()])
        at = end.end()
    return "".join((*kept, text[at:]))


def without_details(text: str) -> str:
    """The text without its complete `<details>` blocks, except those in code. Takes linear time for any nesting."""
    if "</" not in text or "</details>" not in text.lower():
        return text
    kept, at = [], 0
    for start, end in _details_blocks(text):
        kept.append(text[at:start])
        at = end
    return "".join((*kept, text[at:]))


def _details_blocks(text: str) -> Sequence[tuple[int, int]]:
    """Where the outermost complete blocks begin and end, in order."""
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
    """The start of each line, and the line, except lines of complete fenced code."""
    lines = [(found.start(), found[0]) for found in _LINE.finditer(text)]
    unclosed = {"`": 51, "~": 51}  # the length from which on no fence is closed any more
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number][1])
        mark = (fence[1] or fence[2]) if fence else ""
        if mark and len(mark) < unclosed[mark[0]]:
            if end := _closing_line(lines, number + 1, mark):
                number = end + 1
                continue
            unclosed[mark[0]] = len(mark)
        yield lines[number]
        number += 1


def _closing_line(lines: Sequence[tuple[int, str]], first: int, mark: str) -> int:
    """The number of the line that closes the code; 0 if none does."""
    closes = re.compile(rf" {{0,3}}{mark}[`~]* *[\r\n]*")
    return next((number for number in range(first, len(lines)) if closes.fullmatch(lines[number][1])), 0)
