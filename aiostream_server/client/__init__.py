"""Ask a running server from Python, and see every event of a run as it happens."""

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
from aiostream_server.client.info import RunInfo
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
