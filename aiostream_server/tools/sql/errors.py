"""The errors of running an approved statement.

* QueryFailed            the database refused or stopped the statement
* StatementLate          it was stopped at its time limit; `Database` turns it into a `QueryFailed`
* DatabaseUnreachable    no connection to the database, or its URL is invalid

The text of both is one line that is safe to show to users: no path, no SQL, no traceback.
"""

import re
from typing import Final

from aiostream_server.text import clipped, one_line
from aiostream_server.tools.sql.bounds import BOUNDS

_MAX_CHARS: Final = 300
_CLASS_PREFIX: Final = re.compile(r"^<class '[^']*'>:\s*")  # SQLAlchemy puts it before asyncpg's messages
_BOUND: Final = re.compile(r'^invalid input syntax for type \w+: "([^"]+)"$')  # how `bounds` raises an error
_PATH: Final = re.compile(r"(?<![\w.:])(?:/[\w.@+-]+){2,}|\b[A-Za-z]:\\\S+")
NO_ROWS: Final = "the statement is not a question: it has no rows"


class QueryFailed(Exception):
    """The statement did not give its rows."""


class StatementLate(Exception):
    """The statement reached its time limit."""


class DatabaseUnreachable(Exception):
    """The database cannot be opened or connected to, or its URL is invalid."""


def driver_message(error: BaseException) -> str:
    """The driver's message and hints on one line, without class names and file paths."""
    text = str(getattr(error, "orig", None) or error).strip() or type(error).__name__
    line = one_line(_CLASS_PREFIX.sub("", text))
    if (bound := _BOUND.match(line)) and bound[1] in BOUNDS:
        line = bound[1]
    return clipped(_PATH.sub("(a path)", line), _MAX_CHARS)
