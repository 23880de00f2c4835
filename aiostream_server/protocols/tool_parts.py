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

    __slots__ = ("_open", "_used", "_written")

    def __init__(self) -> None:
        self._open: defaultdict[str, list[str]] = defaultdict(list)  # without a result, the earliest first
        self._used: set[str] = set()
        self._written: dict[tuple[str, str], str] = {}  # calls that are being written; by agent and call id

    def is_used(self, agent: str, call_id: str) -> bool:
        """Whether another call has this id."""
        return call_id in self._used and (agent, call_id) not in self._written

    def write(self, agent: str, call_id: str) -> tuple[str, bool]:
        """A piece of a call's arguments: the call, and whether an earlier piece has begun it."""
        call = agent, call_id
        is_begun = call in self._written
        if not is_begun:
            self._written[call] = self._new(call_id)
        return self._written[call], is_begun

    def begin(self, agent: str, call_id: str) -> tuple[str, bool]:
        """A whole call, and whether pieces of its arguments have begun it."""
        unique = self._written.pop((agent, call_id), None)
        return (self._new(call_id), False) if unique is None else (unique, True)

    def end(self, call_id: str) -> str | None:
        """The whole call with this id that has no result yet; None where there is none."""
        waiting = [unique for unique in self._open[call_id] if unique not in self._written.values()]
        if waiting:
            self._open[call_id].remove(waiting[0])
        return waiting[0] if waiting else None

    def leave(self, unique: str) -> None:
        """The call gets no result here."""
        for waiting in self._open.values():
            if unique in waiting:
                waiting.remove(unique)

    def unknown(self, call_id: str) -> str:
        """A unique id for the result of a call that is kept no longer."""
        unique, number = call_id, 1
        while unique in self._used:
            number += 1
            unique = f"{call_id}-{number}"
        self._used.add(unique)
        return unique

    def end_written(self) -> tuple[str, ...]:
        """The calls that were broken off while they were written. They have no result, either."""
        broken_off = tuple(self._written.values())
        self._written.clear()
        return broken_off

    def end_all(self) -> tuple[str, ...]:
        """The calls that have no result."""
        unanswered = tuple(unique for waiting in self._open.values() for unique in waiting)
        self._open.clear()
        return unanswered

    def _new(self, call_id: str) -> str:
        unique = self.unknown(call_id)
        self._open[call_id].append(unique)
        return unique


def parsed_arguments(arguments: str) -> object:
    """The value of a call's JSON; the text itself where it is none, as where it was cut."""
    try:
        return decode(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else {}
    except InvalidRequest:
        return arguments
