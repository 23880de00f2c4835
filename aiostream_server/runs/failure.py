"""Describes a failure in one line that a user may read: no traceback, and nothing of this machine and its network."""

import re
from collections.abc import Sequence
from typing import Final

from aiostream_server import errors
from aiostream_server.errors import ERRORS, ModelFailed, ServerError, TeamFailed
from aiostream_server.events import Error
from aiostream_server.runs.inside import masked
from aiostream_server.text import printable_line, shortened

# AutoGen passes an agent's exception on as text: "ModelFailed: the provider ...\nTraceback: ..." (_events.py:31).
_RETOLD: Final = re.compile(r"(?P<type>[A-Za-z_]\w*): ?(?P<message>.*)", re.DOTALL)
_TEAM_ERRORS: Final = {kind.__name__: kind for kind in ERRORS.values() if issubclass(kind, TeamFailed)}
# Keys that AutoGen reads from the JSON answer of Magentic-One's orchestrator before it checks that they are there
# (_magentic_one_orchestrator.py:370).
_LEDGER_KEYS: Final = frozenset({"is_request_satisfied", "next_speaker"})
_NO_LEDGER: Final = "the model did not answer the orchestrator of Magentic-One with the JSON that it was asked for"
_MAX_CHARS: Final = 500
_MOST_READ_CHARS: Final = 16_384  # of a text: masking takes the event loop 1 s for 2 MB

# What pydantic says of a value that does not fit: a headline, then two lines for each field.
_INVALID: Final = re.compile(r"\d+ validation errors? for (?P<model>.+)\n")
_OF_FIELD: Final = re.compile(
    r"^(?P<field>\S.*)?\n?  (?P<what>\S.*?) \[type=\w+, input_value=(?P<value>.*), input_type=\w+\]$", re.MULTILINE
)
_MAX_FIELDS: Final = 3


def describe_failure(exc: BaseException, model_failures: Sequence[ModelFailed] = ()) -> Error:
    """The error event for what a team raised. `model_failures` are those of the run's model calls, oldest first."""
    while isinstance(exc, BaseExceptionGroup) and len(exc.exceptions) == 1:
        exc = exc.exceptions[0]  # a task group says only how many failed
    if isinstance(exc, ServerError):
        return _told(exc)
    name, message = type(exc).__name__, _text_of(exc)
    if isinstance(exc, RuntimeError):  # perhaps of a team inside a team: then the text is wrapped twice
        for failure in reversed(model_failures):
            if f"{type(failure).__name__}: {failure}" in message:
                return _told(failure)
    if isinstance(exc, RuntimeError) and (retold := _RETOLD.match(message)):
        name, message = retold["type"], retold["message"].partition("\nTraceback:\n")[0]
        if (own := _TEAM_ERRORS.get(name)) is not None:
            return Error(own.code, _safe_line(message))
    if name == "KeyError" and message.strip("'\"") in _LEDGER_KEYS:
        return Error(errors.TeamFailed.code, f"the team failed: {_NO_LEDGER} (no {message.strip()})")
    if name == "ValidationError":
        message = _invalid_fields(message)
    return Error(errors.TeamFailed.code, f"the team failed: {_safe_line(f'{name}: {message}' if message else name)}")


def _invalid_fields(message: str) -> str:
    """The first fields and their values, in place of pydantic's headline, which only counts them."""
    headline = _INVALID.match(message)
    fields = list(_OF_FIELD.finditer(message, headline.end())) if headline is not None else []
    if headline is None or not fields:
        return message
    told = [f"{at['field'] or ''}: {at['what']}, got {at['value']}".removeprefix(": ") for at in fields[:_MAX_FIELDS]]
    more = f"; and {len(fields) - _MAX_FIELDS} more" if len(fields) > _MAX_FIELDS else ""
    return f"{headline['model']}: {'; '.join(told)}{more}"


def _told(error: ServerError) -> Error:
    is_lasting = isinstance(error, ModelFailed) and error.is_lasting
    return Error(error.code, _safe_line(str(error)), error.retry_after_s, is_lasting)


def exception_name(exc: BaseException) -> str:
    """The class of the exception; of one that AutoGen passed on as text, the class that the text names."""
    retold = _RETOLD.match(_text_of(exc)) if isinstance(exc, RuntimeError) else None
    return retold["type"] if retold is not None else type(exc).__name__


def _text_of(exc: BaseException) -> str:
    """Of a long one the beginning, and the end, where a traceback in it tells the error."""
    try:
        return shortened(str(exc), _MOST_READ_CHARS)
    except BaseException as unreadable:  # a user's own class with a faulty `__str__`
        return f"its text cannot be read ({type(unreadable).__name__})"


def _safe_line(text: str) -> str:
    lines = list(filter(None, map(printable_line, text.splitlines()))) or ["no reason was given"]
    # A traceback in the message ends with the error itself.
    line = lines[-1] if "Traceback (most recent call last)" in lines[0] else lines[0]
    return masked(line)[:_MAX_CHARS]
