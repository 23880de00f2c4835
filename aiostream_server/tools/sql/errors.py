"""What can go wrong between an approved statement and its rows.

* QueryFailed            the database refused or stopped the statement
* DatabaseUnreachable    there is no database to ask

The text of both is one line that a user may read: no path, no SQL, no traceback.
"""

import re
from typing import Final, Self

_MAX_CHARS: Final = 300
_CLASS_PREFIX: Final = re.compile(r"^<class '[^']*'>:\s*")  # asyncpg's errors, as SQLAlchemy passes them on
_PATH: Final = re.compile(r"(?<![\w.:])(?:/[\w.@+-]+){2,}|\b[A-Za-z]:\\\S+")


class QueryFailed(Exception):
    """The statement did not give its rows."""

    @classmethod
    def no_question(cls) -> Self:
        return cls("the statement is not a question: it has no rows")


class DatabaseUnreachable(Exception):
    """The database could not be opened or spoken to, or its URL is not one."""


def one_line(error: BaseException) -> str:
    """What the driver said, hints and all, without class names and paths."""
    text = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    line = _PATH.sub("(a path)", " ".join(_CLASS_PREFIX.sub("", text).split()))
    return line if len(line) <= _MAX_CHARS else f"{line[: _MAX_CHARS - 1]}…"
