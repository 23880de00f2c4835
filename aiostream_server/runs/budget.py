"""How much a run may still do: tokens that its models write, turns that its agents take, tools that they call."""

from collections import Counter
from collections.abc import Callable

from aiostream_server.errors import TooManyToolCalls, TooManyTurns
from aiostream_server.events import Error


class Budget:
    """Counts tokens as they arrive, and as providers report them afterwards, against one bound for the whole run.

    `on_overrun` is called once, when a model wants to write more than that, or has. Without a limit nothing ever is too
    much.
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
        """What arrived of calls that nobody has reported: they go on, or were broken off."""
        return sum(self._unsettled.values())

    @property
    def is_spent(self) -> bool:
        return self.left == 0

    def take(self, agent: str, tokens: int) -> int:
        """Count tokens that arrived; how many of them are still within the limit."""
        taken = tokens if self._limit is None else min(tokens, self.left or 0)
        self._unsettled[agent] += taken
        return taken

    def settle(self, agent: str, tokens: int) -> None:
        """A call of the agent's is over. The provider's own count takes the place of ours, where it is not smaller:
        some report nothing, which must not lift the limit."""
        self._settled += max(tokens, self._unsettled.pop(agent, 0))
        if self._limit is not None and self._settled > self._limit:
            self.overrun()

    def overrun(self) -> None:
        if not self._is_overrun:
            self._is_overrun = True
            self._on_overrun()


class WorkLimit:
    """Counts turns and tool calls. `stop` is told what was too much; 0 is no limit."""

    __slots__ = ("_max_tool_calls", "_max_turns", "_stop", "_tool_calls", "_turns")

    def __init__(self, max_turns: int, max_tool_calls: int, stop: Callable[[Error], None]) -> None:
        self._max_turns = max_turns
        self._max_tool_calls = max_tool_calls
        self._stop = stop
        self._turns = 0
        self._tool_calls = 0

    def may_begin(self) -> bool:
        """An agent begins to say something. Whether it may; else the run is ended."""
        if not self._max_turns or self._turns < self._max_turns:
            return True
        self._stop(Error(TooManyTurns.code, f"the run was ended after its limit of {self._max_turns} turns"))
        return False

    def ended_turn(self) -> None:
        """An agent said something to its end."""
        self._turns += 1

    def tool_call(self) -> None:
        self._tool_calls += 1
        limit = self._max_tool_calls
        if limit and self._tool_calls > limit:
            self._stop(Error(TooManyToolCalls.code, f"the run was ended after its limit of {limit} tool calls"))
