"""Escapes text for a page that renders Markdown and HTML: an invisible break splits whatever the page would interpret.

From the source of Open WebUI 0.6.36 and 0.12.4, which both parse with marked 9:

* The page looks for reasoning tags in the raw text, in code too: `<think>`, `<|begin_of_thought|>`, `◁think▷` and the
  like, with attributes, in exactly these cases. So a break splits them everywhere.
* HTML, such as `<details>`, counts outside fenced code. So a break follows `<` there, except in a `<br>` in a table's
  row. Pictures are split too, except where they are allowed, or are the server's own: a picture with a plain title and
  a link that this server has signed.
* Fenced code stays unchanged, so that users can copy it, if it certainly is fenced code: its fence is in column 0, and
  no text before can swallow the fence. Four kinds of text can:
  - a paragraph, which becomes a heading at a line `---` of the code: so a blank line is added before the fence;
  - the definition of a link, because its label or title may have several lines: so a break precedes a `[` at the
    beginning of a line;
  - a formula or a `:::` block, and an indented fence without a certain end: after one of these, code is escaped like
    other text.
* A fence that is open at the end of its message would swallow the next one: it is closed.

`events.breaks.without_breaks` restores the text.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiostream_server.events.breaks import BREAK
from aiostream_server.present.fence import Fence

_TAGS: Final = "thinking|think|reasoning|reason|thought|Thought|code_interpreter"
_NOT_PLAIN: Final = re.compile(r"[<!◁\r\n$\\:]")
_IN_TEXT: Final = re.compile(r"[<!◁\r\n]")
_IN_CODE: Final = re.compile(r"[<◁\r\n]")
_HTML: Final = re.compile(r"<[A-Za-z/!?|]")
_REASONING: Final = re.compile(rf"<(?:/?(?:{_TAGS})(?:[\s>]|\Z)|\|(?:begin|end)_of_(?:thought|solution)\|>)")
_MAYBE_REASONING: Final = re.compile(r"<(?:/?[A-Za-z_]{0,16}|\|[a-z_]{0,17}\|?)\Z")
_TRIANGLE: Final = re.compile("◁/?think▷")
_MAYBE_TRIANGLE: Final = re.compile(r"◁/?[a-z]{0,5}\Z")
_PICTURE: Final = re.compile(r"!\[[^\[\]()<>`\\\r\n!]{0,200}\]\((https?://[!#-;=?-Z_a-z~\[\]]{1,600}?)\)")
_MAYBE_PICTURE: Final = re.compile(r"!(?:\[[^\[\]()<>`\\\r\n!]{0,200}(?:\](?:\([!#-'*-;=?-Z_a-z~\[\]]{0,607})?)?)?\Z")
_LINE_BREAK: Final = re.compile(r"<br ?/?>", re.IGNORECASE)
_MAYBE_LINE_BREAK: Final = re.compile(r"<(?:b(?:r(?: ?/?)?)?)?\Z", re.IGNORECASE)
_FENCE: Final = re.compile(r"`{3}|~{3}")
_MAYBE_FENCE: Final = re.compile(r"(?:`{0,2}|~{0,2})\Z")
_FENCE_LINE: Final = re.compile(r"( {0,3}(?:(?:[*+-]|[0-9][.)]) {1,2})?)(`{3,}|~{3,})")
_MAYBE_FENCE_LINE: Final = re.compile(r" {0,3}(?:(?:[*+-]|[0-9][.)]) {0,2})?(?:`{0,2}|~{0,2})\Z| {0,3}[0-9]\Z")
_BRACKET: Final = re.compile(r"( {0,3})\[")
_MAX_INDENT: Final = 3
_SWALLOWS: Final = re.compile(r"\$\$|\\\[|\\begin|:::")
_MAY_SWALLOW: Final = re.compile(r"[$\\:]")
_TAIL_CHARS: Final = 5  # of `\begin`, in an earlier token
_MAX_FENCE_CHARS: Final = 200
_WAIT: Final = -1


@dataclass(frozen=True, slots=True)
class Page:
    """A web page that renders Markdown and HTML: Open WebUI.

    `remote_images`: whether the reader's browser may load pictures that agents name by URL. `is_own`: whether this
    server has signed a URL as a link to a file of its own; those pictures are always loaded. `artifacts`: whether
    the page may run and draw code blocks of agents (`present.artifacts`).
    """

    remote_images: bool = False
    is_own: Callable[[str], bool] = lambda url: False
    artifacts: bool = False


class CodeTrust:
    """Whether some text may have swallowed a fence: then no later code is certain.

    One object for all messages of a run, because to the page they are one document.
    """

    def __init__(self, *, is_lost: bool = False) -> None:
        self.is_lost = is_lost


class Escaper:
    """Escapes one message that is streamed: `feed` its pieces, then `end` it.

    It holds back a few characters until their meaning is known, so the result does not depend on where the text is cut.
    `mid_line`: the message begins within a line.
    """

    def __init__(self, page: Page, trust: CodeTrust, *, mid_line: bool = False) -> None:
        self._images = page.remote_images
        self._is_own_url = page.is_own
        self._trust = trust
        self._held = ""
        self._begins_line = not mid_line
        self._is_blank = not mid_line  # the line so far
        self._is_row = False
        self._tail = ""
        self._opening: Fence | None = None  # of the current line, unless the rest of the line shows that it is none
        self._fence: Fence | None = None
        self._is_code = False  # in a fence that is certain

    def feed(self, text: str) -> str:
        """The text that can be shown now."""
        if self._held or self._begins_line or self._fence or self._opening or self._tail or _NOT_PLAIN.search(text):
            return self._run(self._held + text, is_all=False)
        self._is_blank = self._is_blank and not text.strip(" \t")
        return text

    def end(self) -> str:
        """The rest, and a closing fence if one is open."""
        rest = self._run(self._held, is_all=True)
        self._open_fence()
        if self._fence is None:
            return rest
        is_closed = self._fence.end_line()
        self._trust.is_lost |= self._fence.is_doubtful or (self._fence.is_indented and not is_closed)
        if is_closed or self._fence.is_doubtful:
            return rest  # the block has ended: another fence would open a new one
        return f"{rest}\n{self._fence.closing}\n{BREAK}"

    def _run(self, text: str, *, is_all: bool) -> str:
        self._held = ""
        shown: list[str] = []
        at = 0
        while at < len(text):
            if (after := self._step(text, at, shown, is_all)) == _WAIT:
                self._held = text[at:]
                break
            at = after
        return "".join(shown)

    def _step(self, text: str, at: int, shown: list[str], is_all: bool) -> int:
        """Show some of `text` from `at` on. Returns where that ends, or `_WAIT` if it depends on the next piece."""
        if self._begins_line:
            return self._begin_line(text, at, shown, is_all)
        found = (_IN_CODE if self._is_code else _IN_TEXT).search(text, at)
        end = found.start() if found else len(text)
        if end > at:
            self._note(text[at:end])
            shown.append(text[at:end])
            return end
        if text[at] in "\r\n":
            return self._end_line(text, at, shown, is_all)
        return self._mark(text, at, shown, is_all)

    def _begin_line(self, text: str, at: int, shown: list[str], is_all: bool) -> int:
        if not is_all and _MAYBE_FENCE_LINE.match(text, at):
            return _WAIT
        self._begins_line, self._is_blank, self._is_row = False, True, text[at] == "|"
        found = _FENCE_LINE.match(text, at)
        if found and len(found[1]) <= _MAX_INDENT:
            if not is_all and found.end() == len(text) and len(found[2]) <= _MAX_FENCE_CHARS:
                self._begins_line = True
                return _WAIT
            if len(found[2]) <= _MAX_FENCE_CHARS:
                self._opening, self._is_blank = Fence(found[2], len(found[1])), False
                shown.append(found[0])
                return found.end()
            self._trust.is_lost = True  # too long to wait for its end, so the closing line is unknown
        if bracket := _BRACKET.match(text, at):
            shown.append(f"{bracket[1]}{BREAK}")
            return bracket.end() - 1
        return at

    def _end_line(self, text: str, at: int, shown: list[str], is_all: bool) -> int:
        line_end = "\r\n" if text.startswith("\r\n", at) else text[at]
        end = at + len(line_end)
        if line_end == "\r" and end == len(text) and not is_all:
            return _WAIT
        if self._fence is not None:
            self._end_code_line(self._fence)
        elif self._opening is not None:
            self._open_fence()
        elif not self._is_blank:
            if _FENCE.match(text, end):
                shown.append(BREAK + line_end)
            elif _MAYBE_FENCE.match(text, end) and not is_all:
                return _WAIT
            self._begins_line = True
        else:
            self._begins_line = True
        self._tail = ""
        shown.append(line_end)
        return end

    def _open_fence(self) -> None:
        if self._opening is not None:
            self._fence, self._opening = self._opening, None
            self._is_code = not self._fence.is_indented and not self._trust.is_lost

    def _end_code_line(self, fence: Fence) -> None:
        if fence.end_line():
            self._fence, self._is_code, self._begins_line = None, False, True
        if fence.is_doubtful:
            self._is_code, self._trust.is_lost = False, True

    def _note(self, text: str) -> None:
        """Record the facts of unchanged text that decide how the page reads the rest."""
        if self._fence is not None:
            self._fence.add(text)
            return
        if self._opening is not None and "`" in text and "`" in self._opening.closing:
            self._opening = None
        self._is_blank = self._is_blank and not text.strip(" \t")
        seen = self._tail + text
        self._trust.is_lost |= _SWALLOWS.search(seen) is not None
        self._tail = seen[-_TAIL_CHARS:] if _MAY_SWALLOW.search(seen, max(0, len(seen) - _TAIL_CHARS)) else ""

    def _mark(self, text: str, at: int, shown: list[str], is_all: bool) -> int:
        """Escape `<`, `!` or `◁` if the page would interpret what begins with it."""
        is_markup = self._is_markup(text, at, is_all)
        if is_markup is None:
            return _WAIT
        self._note(text[at])
        shown.append(text[at] + BREAK if is_markup else text[at])
        return at + 1

    def _is_markup(self, text: str, at: int, is_all: bool) -> bool | None:
        """None if it depends on the next piece."""
        if text[at] == "◁":
            return None if not is_all and _MAYBE_TRIANGLE.match(text, at) else _TRIANGLE.match(text, at) is not None
        if text[at] == "!":
            if self._images:
                return False
            if not is_all and _MAYBE_PICTURE.match(text, at):
                return None
            return text[at + 1 : at + 2] == "[" and not self._is_own_picture(text, at)
        if self._is_code:
            if not is_all and _MAYBE_REASONING.match(text, at):
                return None
            return _REASONING.match(text, at) is not None
        if self._is_row and not is_all and _MAYBE_LINE_BREAK.match(text, at):
            return None
        if self._is_row and _LINE_BREAK.match(text, at):
            return False
        if at + 1 == len(text) and not is_all:
            return None
        return _HTML.match(text, at) is not None

    def _is_own_picture(self, text: str, at: int) -> bool:
        found = _PICTURE.match(text, at)
        return found is not None and self._is_own_url(found[1])


def escaped_line(text: str, page: Page) -> str:
    """The text, escaped, as a part of one line."""
    escaper = Escaper(page, CodeTrust(is_lost=True), mid_line=True)
    return escaper.feed(" ".join(text.split())) + escaper.end()
