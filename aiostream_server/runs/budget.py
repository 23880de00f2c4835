"""The limits of one run: completion tokens (`Budget`), turns and tool calls (`WorkLimit`)."""

from collections import Counter
from collections.abc import Callable

from aiostream_server.errors import TooManyToolCalls, TooManyTurns
from aiostream_server.events import Error


class Budget:
    """Counts tokens as they arrive, and as providers report them afterwards, against one limit for the whole run.

    `on_overrun` is called once, when a model wants to write more or has written more. None is no limit.
    """

    __slots__ = ("_is_overrun", "_limit", "_on_overrun", "_settled", "_unsettled")

    def __init__(self, limit: int | None, on_overrun: Callable[[], None]) -> None:
        self._limit = limit
        self._on_overrun = on_overrun
        self._settled = 0
        self._unsettled: Counter[str] = Counter()
        self._is_overrun = False

    @property
    def left(self) -> int | None:
        """None without a limit."""
        if self._limit is None:
            return None
        return max(0, self._limit - self._settled - self.unsettled)

    @property
    def unsettled(self) -> int:
        """Tokens of model calls without a report: those go on, or were broken off."""
        return sum(self._unsettled.values())

    @property
    def is_spent(self) -> bool:
        return self.left == 0

    def take(self, agent: str, tokens: int) -> int:
        """Count tokens that arrived. Returns how many of them are within the limit."""
        taken = tokens if self._limit is None else min(tokens, self.left or 0)
        self._unsettled[agent] += taken
        return taken

    def settle(self, agent: str, tokens: int) -> None:
        """A call of the agent is over. The provider's count replaces ours unless it is smaller: some report nothing,
        which must not lift the limit."""
        self._settled += max(tokens, self._unsettled.pop(agent, 0))
        if self._limit is not None and self._settled > self._limit:
            self.overrun()

    def overrun(self) -> None:
        if not self._is_overrun:
            self._is_overrun = True
            self._on_overrun()


class WorkLimit:
    """Counts turns and tool calls. `stop` is called with the limit that was exceeded; 0 is no limit."""

    __slots__ = ("_max_tool_calls", "_max_turns", "_stop", "_tool_calls", "_turns")

    def __init__(self, max_turns: int, max_tool_calls: int, stop: Callable[[Error], None]) -> None:
        self._max_turns = max_turns
        self._max_tool_calls = max_tool_calls
        self._stop = stop
        self._turns = 0
        self._tool_calls = 0

    def may_begin(self) -> bool:
        """Whether an agent may begin a turn; if not, the run is ended."""
        if not self._max_turns or self._turns < self._max_turns:
            return True
        self._stop(Error(TooManyTurns.code, f"the run was ended after its limit of {self._max_turns} turns"))
        return False

    def ended_turn(self) -> None:
        self._turns += 1

    def tool_call(self) -> None:
        self._tool_calls += 1
        limit = self._max_tool_calls
        if limit and self._tool_calls > limit:
            self._stop(Error(TooManyToolCalls.code, f"the run was ended after its limit of {limit} tool calls"))
