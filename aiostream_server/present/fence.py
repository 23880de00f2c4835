"""Where a fenced code block ends, by the rules of marked 9."""

import re
from typing import Final

_MAYBE_CLOSING: Final = re.compile(r" {0,3}[`~]* *")
_MAX_CHARS: Final = 500


class Fence:
    """A block that a line with the fence `mark` opened, after `indent` characters.

    Call `add` for each piece of its lines, and `end_line` at the end of each line.
    """

    def __init__(self, mark: str, indent: int = 0) -> None:
        self.closing: Final = " " * indent + mark
        self.is_indented: Final = indent > 0
        self.is_doubtful = False  # it may have ended together with a list around it
        self._mark = mark
        self._indent = " " * indent
        self._head = ""
        self._line: str | None = ""  # None if the current line does not close the block

    def add(self, text: str) -> None:
        if self._indent and len(self._head) < len(self._indent):
            self._head += text[: len(self._indent) - len(self._head)]
        if self._line is None:
            return
        self._line += text
        found = _MAYBE_CLOSING.match(self._line)
        end = found.end() if found else 0
        self.is_doubtful |= end > _MAX_CHARS
        if end != len(self._line) or self.is_doubtful:
            self._line = None

    def end_line(self) -> bool:
        """Whether the line that ends here closes the block."""
        line, self._line = self._line, ""
        head, self._head = self._head, ""
        self.is_doubtful |= head != self._indent and bool(head.strip()) and "\t" not in head
        return line is not None and line.lstrip(" ").startswith(self._mark)
