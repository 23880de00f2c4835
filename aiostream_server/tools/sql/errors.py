"""The errors of running an approved statement.

* QueryFailed            the database refused or stopped the statement
* DatabaseUnreachable    no connection to the database, or its URL is invalid

The text of both is one line that is safe to show to users: no path, no SQL, no traceback.
"""

import re
from typing import Final

_MAX_CHARS: Final = 300
_CLASS_PREFIX: Final = re.compile(r"^<class '[^']*'>:\s*")  # SQLAlchemy puts it before asyncpg's messages
_PATH: Final = re.compile(r"(?<![\w.:])(?:/[\w.@+-]+){2,}|\b[A-Za-z]:\\\S+")
NO_ROWS: Final = "the statement is not a question: it has no rows"


class QueryFailed(Exception):
    """The statement did not give its rows."""


class DatabaseUnreachable(Exception):
    """The database cannot be opened or connected to, or its URL is invalid."""


def one_line(error: BaseException) -> str:
    """The driver's message and hints on one line, without class names and file paths."""
    text = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    line = _PATH.sub("(a path)", " ".join(_CLASS_PREFIX.sub("", text).split()))
    return line if len(line) <= _MAX_CHARS else f"{line[: _MAX_CHARS - 1]}…"
