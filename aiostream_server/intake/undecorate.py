"""What we said earlier, as a client sends it back: the answer, without the signs, headings and blocks for people.

An agent that reads our decoration as its own earlier words imitates it. Only a text that begins as our transcripts do
is taken for one. Of that the answer (✅) is what the team said; where none is marked as that, it is everything that was
said, without who said it. Of any text the blocks that fold out go, whoever made them: Open WebUI makes some itself.
Everything else stays as it is: models write signs and bold words, too.
"""

import re
from typing import Final

from aiostream_server.events import (
    SPEECHES,
    Action,
    Answer,
    Error,
    InputRequested,
    Routing,
    Thinking,
    ToolResult,
    Validation,
)
from aiostream_server.events.breaks import without_breaks
from aiostream_server.intake.details import without_details

_BLOCK_SIGNS: Final = f"{Action.sign}|{ToolResult.sign}|{Thinking.sign}"
_BLOCK: Final = re.compile(rf"^<details>\n<summary>(?:{_BLOCK_SIGNS}).*</summary>$", re.MULTILINE)
_BLOCK_END: Final = re.compile(r"^</details>[ \t]*\n?", re.MULTILINE)
_SIGNS: Final = frozenset(speech.sign for speech in SPEECHES.values())
_SPEECH: Final = "|".join(sorted(_SIGNS))
# A speaker stands alone on the line; only a verdict and where a question goes are told on it.
_HEADING: Final = re.compile(
    rf"(?:\A|(?<=\n\n))(?:(?P<sign>{_SPEECH}) \*\*[^*\n]+\*\*(?=\n\n|\Z)"
    rf"|(?P<verdict>{Validation.sign}) \*\*[^*\n]+\*\* [^\n]*(?=\n\n|\Z)"
    rf"|{Routing.sign} \*\*[^*\n]+\*\* [^\n]*(?=\n\n|\Z))"
)
_OURS: Final = re.compile(
    rf"\s*(?:(?:{_SPEECH}|{Routing.sign}) \*\*[^*\r\n]+\*\*|<details>\r?\n<summary>(?:{_BLOCK_SIGNS})"
    rf"|{InputRequested.sign} \*)"
)
_ERROR: Final = re.compile(rf"(?:\A|\n\n){Error.sign} [^\n]*\Z")
_INPUT: Final = re.compile(rf"^{InputRequested.sign} \*[^\n]+ waits for your answer\*$", re.MULTILINE)


def undecorate(text: str) -> str:
    """The words alone."""
    if text.isascii() and "<" not in text:  # no sign of ours, and no block
        return text.strip()
    is_ours = _OURS.match(text) is not None
    words = without_details(without_breaks(_without_own_blocks(text)))
    return _said(_INPUT.sub("", words.replace("\r\n", "\n")).strip()) if is_ours else words.strip()


def _said(transcript: str) -> str:
    text = _ERROR.sub("", transcript)
    headings = list(_HEADING.finditer(text))
    if not headings:
        return text.strip()
    said: list[tuple[str, str]] = [("", text[: headings[0].start()])]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        said.append((heading["sign"] or heading["verdict"] or Routing.sign, text[heading.end() : end]))
    answers = [words for sign, words in said if sign == Answer.sign]
    others = [words for sign, words in said if sign in _SIGNS or not sign]
    return "\n\n".join(words for words in map(str.strip, answers or others) if words)


def _without_own_blocks(text: str) -> str:
    kept, at = [], 0
    while (begin := _BLOCK.search(text, at)) and (end := _BLOCK_END.search(text, begin.end())):
        kept.append(text[at : begin.start()])
        at = end.end()
    return "".join((*kept, text[at:]))
