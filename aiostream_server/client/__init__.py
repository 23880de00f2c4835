"""A Python client: asks a running server, and yields every event of a run as it happens.

Imports only `aiostream_server.events` and aiohttp.
"""

from aiostream_server.client.api import RunInfo
from aiostream_server.client.client import StreamClient
from aiostream_server.client.errors import (
    BadAnswer,
    ClientError,
    ConnectionLost,
    NoServer,
    RequestRefused,
    RunExpired,
    UnknownRun,
)
from aiostream_server.client.stream import RunStream

__all__ = [
    "BadAnswer",
    "ClientError",
    "ConnectionLost",
    "NoServer",
    "RequestRefused",
    "RunExpired",
    "RunInfo",
    "RunStream",
    "StreamClient",
    "UnknownRun",
]
