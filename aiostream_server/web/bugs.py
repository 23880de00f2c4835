"""What the log says of an exception that nobody foresaw: its type and its place.

Its message may hold what a user or a model wrote, which belongs in no log at info level; whoever logs at debug level
gets all of it.
"""

from traceback import extract_tb

import structlog

_log = structlog.get_logger()


def log_bug(event: str, exc: Exception) -> None:
    """One line at error level; `places` are the frames, the innermost last."""
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in extract_tb(exc.__traceback__)]
    _log.error(event, exception=type(exc).__name__, places=places)
    _log.debug(f"{event}_whole", exc_info=exc)
