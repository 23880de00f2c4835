"""Why a database cannot be reached, or was lost, in a sentence for users and models."""

from typing import Final

import asyncpg
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError

from aiostream_server.config.postgres_problems import causes, known_problem
from aiostream_server.tools.sql.errors import QueryFailed, driver_message

LOST_MESSAGE: Final = "the connection to it was lost while the statement ran: try again"
_LOST: Final = (
    *(asyncpg.PostgresConnectionError, asyncpg.InterfaceError, asyncpg.AdminShutdownError),
    *(asyncpg.CrashShutdownError, asyncpg.CannotConnectNowError, asyncpg.IdleInTransactionSessionTimeoutError, OSError),
    asyncpg.InternalClientError,  # the server's last words stand between two answers
)


def is_lost(error: BaseException) -> bool:
    """Whether the connection is gone, and not only that the statement failed."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    return any(isinstance(cause, _LOST) for cause in causes(error))


def why_unreachable(error: BaseException, url: URL) -> str:
    """The reason, without the database's host and password."""
    known = None if isinstance(error, QueryFailed) or url.get_backend_name() == "sqlite" else known_problem(error)
    if known is not None:
        return known
    message = driver_message(error)
    hidden = [url.host, *_texts(url.query.get("host")), url.password, *_texts(url.query.get("password"))]
    for each in sorted({text.partition(":")[0] for text in hidden if text}, key=len, reverse=True):
        message = message.replace(each, "(not shown)")
    return message


def _texts(value: str | tuple[str, ...] | None) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value or ()
