"""The numbers that clients put into queries and headers. A wrong one is a 400 that names it."""

import re
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from aiostream_server.errors import InvalidRequest

MAX_CURSOR: Final = 2**53  # beyond it a client in JavaScript cannot count
MAX_LISTED: Final = 100
DEFAULT_LISTED: Final = 20
_INTEGER: Final = re.compile(r"[0-9]{1,16}", re.ASCII)


def cursor_of(request: web.Request) -> int:
    """The number of the last event that the client has: `Last-Event-ID`, or `?starting_after=N`, or 0."""
    header = _integer("Last-Event-ID", request.headers.getall("Last-Event-ID", ()), 0, MAX_CURSOR)
    query = _integer("starting_after", request.query.getall("starting_after", ()), 0, MAX_CURSOR)
    if header is not None and query is not None and header != query:
        raise InvalidRequest(
            f"starting_after={query} and Last-Event-ID: {header} disagree: send one of them", param="starting_after"
        )
    return header or query or 0


def limit_of(request: web.Request) -> int:
    """How many are to be listed: `?limit=N`."""
    return _integer("limit", request.query.getall("limit", ()), 1, MAX_LISTED) or DEFAULT_LISTED


def _integer(name: str, values: Sequence[str], least: int, most: int) -> int | None:
    """None where it was not sent."""
    if not values:
        return None
    if len(values) == 1 and _INTEGER.fullmatch(values[0]) and least <= int(values[0]) <= most:
        return int(values[0])
    raise InvalidRequest(f"{name} must be one integer from {least} to {most}", param=name)
