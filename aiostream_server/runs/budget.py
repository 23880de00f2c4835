"""The limits of one run: completion tokens, turns and tool calls."""

from collections import defaultdict
from collections.abc import Callable

from aiostream_server.errors import TooManyToolCalls, TooManyTurns
from aiostream_server.events import Error, FinishReason


class Budget:
    """Counts what a run spends. `end` is called with the reason when a limit is exceeded, perhaps several times.

    `max_tokens` is one limit for all model calls together; None is no limit. Tokens count as they arrive, and as the
    providers report them afterwards. 0 is no limit of turns or tool calls. `max_own_calls` is the client's bound of the
    calls of the team's own tools, which ends nothing: `own_calls_left` tells who asks models.
    """

    def __init__(
        self,
        end: Callable[[FinishReason | Error], object],
        *,
        max_tokens: int | None = None,
        max_turns: int = 0,
        max_tool_calls: int = 0,
        max_own_calls: int | None = None,
    ) -> None:
        self._end = end
        self._max_tokens = max_tokens
        self._max_turns = max_turns
        self._max_tool_calls = max_tool_calls
        self.own_calls_left = max_own_calls
        """None without a bound."""
        self._settled = self._turns = self._tool_calls = 0
        self._writing: defaultdict[str, int] = defaultdict(int)

    def release(self) -> None:
        """Let go of the run, which has ended."""
        self._end = _ignore

    @property
    def left(self) -> int | None:
        """Tokens; None without a limit."""
        return None if self._max_tokens is None else max(0, self._max_tokens - self._settled - self.unsettled)

    @property
    def unsettled(self) -> int:
        """Tokens of model calls without a report: those go on, or were broken off."""
        return sum(self._writing.values())

    def take(self, agent: str, tokens: int) -> int:
        """Count tokens that arrived. Returns how many of them are within the limit."""
        if self._max_tokens is None:
            self._writing[agent] += tokens
            return tokens
        taken = min(tokens, self.left or 0)
        self._writing[agent] += taken
        if taken < tokens:
            self._end("length")
        return taken

    def settle(self, agent: str, tokens: int) -> None:
        """A call of the agent is over. The provider's count replaces ours unless it is smaller: some report nothing,
        which must not lift the limit."""
        self._settled += max(tokens, self._writing.pop(agent, 0))
        if self._max_tokens is not None and self._settled > self._max_tokens:
            self._end("length")

    def cut_short(self) -> None:
        """A model stopped at its own token limit, which may be what was left of this one."""
        if self.left == 0:
            self._end("length")

    def may_begin_turn(self) -> bool:
        if not self._max_turns or self._turns < self._max_turns:
            return True
        self._end(Error(TooManyTurns.code, f"the run was ended after its limit of {self._max_turns} turns"))
        return False

    def ended_turn(self) -> None:
        self._turns += 1

    def tool_call(self, *, is_own: bool = False) -> None:
        self._tool_calls += 1
        if is_own and self.own_calls_left:
            self.own_calls_left -= 1
        limit = self._max_tool_calls
        if limit and self._tool_calls > limit:
            self._end(Error(TooManyToolCalls.code, f"the run was ended after its limit of {limit} tool calls"))


def _ignore(_: FinishReason | Error) -> None:
    """The run has ended already."""
