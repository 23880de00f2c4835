"""What we said earlier, as a client sends it back: the answer, without the signs, headings and blocks for people.

An agent that reads our decoration as its own earlier words imitates it. A transcript's answer (✅) is what the team
said; where none is marked as that, it is everything that was said, without who said it. Blocks that fold out go,
whoever made them: Open WebUI makes some itself. Other text stays as it is.
"""

import re
from typing import Final

from aiostream_server.events.breaks import without_breaks
from aiostream_server.events.signs import ERROR_SIGN, INPUT_SIGN, ROUTING_SIGN, SPEECH_SIGNS
from aiostream_server.intake.details import without_details

_BLOCK: Final = re.compile(r"^<details>\n<summary>(?:⚡|📦|🤔).*</summary>$", re.MULTILINE)
_BLOCK_END: Final = re.compile(r"^</details>[ \t]*\n?", re.MULTILINE)
_SIGNS: Final = "|".join((ROUTING_SIGN, *SPEECH_SIGNS.values()))
_HEADING: Final = re.compile(rf"^(?P<sign>{_SIGNS}) \*\*[^*\n]+\*\*.*$", re.MULTILINE)
_ERROR: Final = re.compile(rf"^{ERROR_SIGN} .*$", re.MULTILINE)
_INPUT: Final = re.compile(rf"^{INPUT_SIGN} \*[^\n]+ waits for your answer\*$", re.MULTILINE)
_SPOKEN: Final = frozenset(SPEECH_SIGNS.values())
_ANSWER: Final = SPEECH_SIGNS["final"]


def undecorate(text: str) -> str:
    """The words alone."""
    text = without_breaks(_without_our_blocks(text))  # and then what agents wrote as such
    text = _INPUT.sub("", without_details(text))
    headings = list(_HEADING.finditer(text))
    if not headings:
        return text.strip()
    said: list[tuple[str, str]] = [("", text[: headings[0].start()])]
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    for heading, end in zip(headings, ends, strict=True):
        said.append((heading["sign"], text[heading.end() : end]))
    answers = [words for sign, words in said if sign == _ANSWER]
    others = [words for sign, words in said if sign in _SPOKEN or not sign]
    without_errors = (_ERROR.sub("", words).strip() for words in answers or others)
    return "\n\n".join(words for words in without_errors if words)


def _without_our_blocks(text: str) -> str:
    kept, at = [], 0
    while (begin := _BLOCK.search(text, at)) and (end := _BLOCK_END.search(text, begin.end())):
        kept.append(text[at : begin.start()])
        at = end.end()
    return "".join((*kept, text[at:]))
