"""Which tools were called, by whom, and which have answered."""

from collections import Counter
from typing import Final, TypeAlias

_Key: TypeAlias = tuple[str, str]  # the agent and the call's id: two agents may use the same ids


class Calls:
    """One run's. Ids may come again: some models number each answer's calls afresh."""

    __slots__ = ("_answered", "_told_early", "_tools")

    def __init__(self) -> None:
        self._tools: Final[dict[_Key, str]] = {}  # in the order of the calls
        self._answered: Final[set[_Key]] = set()
        self._told_early: Final[Counter[_Key]] = Counter()

    @property
    def unanswered(self) -> frozenset[str]:
        """The tools that were called, and have not answered."""
        return frozenset(tool for call, tool in self._tools.items() if call not in self._answered)

    def __contains__(self, call: _Key) -> bool:
        return call in self._tools

    def are_answered(self, calls: set[_Key]) -> bool:
        return calls <= self._answered

    def called(self, agent: str, call_id: str, tool: str) -> None:
        key = agent, call_id
        self._tools.pop(key, None)  # it becomes the last one
        self._tools[key] = tool
        self._answered.discard(key)

    def told_early(self, agent: str, call_id: str) -> None:
        """AutoGen is going to tell of this call again."""
        self._told_early[agent, call_id] += 1

    def is_repeated(self, agent: str, call_id: str) -> bool:
        """Whether a call that AutoGen tells of was told early; each counts once."""
        if not self._told_early[agent, call_id]:
            return False
        self._told_early[agent, call_id] -= 1
        return True

    def answer(self, agent: str, call_id: str) -> bool:
        """Whether that is news. The agent's own call; else, where another answers or judges, the last that anybody made
        with that id."""
        call = agent, call_id
        if call not in self._tools:
            call = next((made for made in reversed(self._tools) if made[1] == call_id), call)
        is_news = call not in self._answered
        self._answered.add(call)
        return is_news
