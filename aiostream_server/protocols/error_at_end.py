"""The error that a run ended with, as all protocols tell it."""

from typing import Final

from aiostream_server.errors import ShuttingDown
from aiostream_server.events import Error, FinishReason

_INTERRUPTED: Final = Error(ShuttingDown.code, str(ShuttingDown()))


def error_at_end(reason: FinishReason, error: Error | None) -> Error | None:
    """`error` is the run's own. An interrupted run has none, but half an answer must not look like a whole one."""
    return _INTERRUPTED if reason == "interrupted" else error
