"""What went wrong, as one line that a user may read: no traceback, no path of this machine."""

import re
from typing import Final

from aiostream_server import errors
from aiostream_server.errors import ServerError
from aiostream_server.events import Error

# AutoGen hands an agent's exception on as text: "ModelFailed: the provider ...\nTraceback: ..." (_events.py:31).
_RETOLD: Final = re.compile(r"(?P<type>[A-Za-z_]\w*): (?P<message>.*)")
_PATH: Final = re.compile(r"(?<![\w:/.])(?:/[\w.@+-]+){2,}/?|\b[A-Za-z]:\\[^\s'\"]+")
_MAX_CHARS: Final = 500


def describe_failure(exc: BaseException) -> Error:
    """The error event for what a team raised."""
    if isinstance(exc, ServerError):
        return Error(exc.code, _safe_line(str(exc)))
    name, message = type(exc).__name__, str(exc)
    retold = _RETOLD.match(message) if isinstance(exc, RuntimeError) else None
    if retold is not None:
        name, message = retold["type"], retold["message"]
    own = getattr(errors, name, None)
    if isinstance(own, type) and issubclass(own, ServerError):
        return Error(own.code, _safe_line(message))
    return Error(errors.TeamFailed.code, f"the team failed: {_safe_line(f'{name}: {message}')}")


def _safe_line(text: str) -> str:
    line = text.strip().partition("\n")[0].strip() or "no reason was given"
    return _PATH.sub("…", line)[:_MAX_CHARS]
