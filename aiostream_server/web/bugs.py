"""Logs an unexpected exception: its type and its places at error level, all of it at debug level.

Its message may hold what a user or a model wrote, and that belongs in no log above debug level.
"""

from traceback import extract_tb

import structlog

_log = structlog.get_logger()


def log_bug(event: str, exc: BaseException) -> None:
    """One line at error level; `places` are the frames, the innermost last."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(exc.__traceback__)]
    _log.error(event, exception=type(exc).__name__, places=places)
    _log.debug(f"{event}_whole", exc_info=exc)
