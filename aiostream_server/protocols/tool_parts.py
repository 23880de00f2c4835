"""What protocols with calls of tools have in common: ids that are unique in a run, and arguments as a value."""

from aiostream_server.intake.json_text import load


class CallIds:
    """The id by which a stream knows each call. Agents number their calls, and two of them may use the same id."""

    __slots__ = ("_latest", "_used")

    def __init__(self) -> None:
        self._latest: dict[str, str] = {}
        self._used: set[str] = set()

    def begin(self, call_id: str) -> str:
        """A new call."""
        unique, number = call_id, 1
        while unique in self._used:
            number += 1
            unique = f"{call_id}-{number}"
        self._used.add(unique)
        self._latest[call_id] = unique
        return unique

    def end(self, call_id: str) -> str | None:
        """The latest call with this id, once; None where there is none, or its result is known."""
        return self._latest.pop(call_id, None)


def parsed_arguments(arguments: str) -> object:
    """The value of a call's JSON; the text itself where it is none, as where it was cut."""
    try:
        return load(arguments.encode("utf-8", "surrogatepass")) if arguments.strip() else {}
    except ValueError:
        return arguments
