"""What can go wrong with the conversation store while it is open, and what the drivers call it.

* ConversationsUnavailable    the database did not do what it was asked to

The text is one line for a log: no SQL, no values, no password.
"""

import sqlite3
from collections.abc import Collection
from typing import Final

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

DATABASE_ERRORS: Final = (
    # SQLAlchemy lets asyncpg's own errors through while it connects; a deadline that passed is an OSError.
    *(SQLAlchemyError, sqlite3.Error, sqlite3.Warning, asyncpg.PostgresError, asyncpg.InterfaceError, OSError),
)
OPENING_ERRORS: Final = (*DATABASE_ERRORS, TypeError, ValueError)
"""asyncpg raises these two for what it does not understand in a URL."""

_MAX_CHARS: Final = 300


class ConversationsUnavailable(Exception):
    """The database could not be reached, is full, locked for too long, or damaged."""


def reason(error: BaseException, secrets: Collection[str] = ()) -> str:
    """What the driver said, in one line; nothing of it where it repeats a secret."""
    said = getattr(error, "orig", None) or error
    text = str(said).rpartition(">: ")[2]  # asyncpg's errors as SQLAlchemy passes them on: <class '...'>: text
    line = " ".join(text.split()) or type(said).__name__
    if any(secret in line for secret in secrets):
        return type(said).__name__
    return line if len(line) <= _MAX_CHARS else f"{line[: _MAX_CHARS - 1]}…"
