"""What protocols with calls of tools have in common: ids that are unique in a run, and arguments as a value."""

from collections import defaultdict
from typing import Final

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.json_text import decode

WAITS: Final = "waits for the user"
"""The result of a call that the user is asked about first."""
NO_RESULT: Final = "no result"
"""The result of a call that ended without one."""


class CallIds:
    """The id by which a stream knows each call. Agents number their calls, and two of them may use the same id."""

    __slots__ = ("_open", "_used")

    def __init__(self) -> None:
        self._open: defaultdict[str, list[str]] = defaultdict(list)  # without a result, the earliest first
        self._used: set[str] = set()

    def begin(self, call_id: str) -> str:
        """A new call."""
        unique = self.unknown(call_id)
        self._open[call_id].append(unique)
        return unique

    def end(self, call_id: str) -> str | None:
        """The call with this id that has no result yet; None where there is none."""
        waiting = self._open[call_id]
        return waiting.pop(0) if waiting else None

    def unknown(self, call_id: str) -> str:
        """For a result without its call, which is kept no longer."""
        unique, number = call_id, 1
        while unique in self._used:
            number += 1
            unique = f"{call_id}-{number}"
        self._used.add(unique)
        return unique

    def end_all(self) -> tuple[str, ...]:
        """The calls that have no result."""
        unanswered = tuple(unique for waiting in self._open.values() for unique in waiting)
        self._open.clear()
        return unanswered


def parsed_arguments(arguments: str) -> object:
    """The value of a call's JSON; the text itself where it is none, as where it was cut."""
    try:
        return decode(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else {}
    except InvalidRequest:
        return arguments
