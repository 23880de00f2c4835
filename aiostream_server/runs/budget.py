"""How much a run may still do: tokens that its models write, turns that its agents take, tools that they call."""

from collections.abc import Callable

from aiostream_server.events import Error


class Budget:
    """Counts tokens as they arrive, and as providers report them afterwards, against one bound for the whole run.

    `on_overrun` is called once, when a model wants to write more than that. Without a limit nothing ever is too much.
    """

    def __init__(self, limit: int | None, on_overrun: Callable[[], None]) -> None:
        self._limit = limit
        self._on_overrun = on_overrun
        self._reported = 0
        self._unreported = 0
        self._is_overrun = False

    @property
    def left(self) -> int | None:
        """None without a limit."""
        if self._limit is None:
            return None
        return max(0, self._limit - self._reported - self._unreported)

    @property
    def is_spent(self) -> bool:
        return self.left == 0

    def take(self, tokens: int) -> int:
        """Count tokens that arrived; how many of them are still within the limit."""
        left = self.left
        taken = tokens if left is None else min(tokens, left)
        self._unreported += taken
        return taken

    def settle(self, tokens: int) -> None:
        """A provider's own count of what one call wrote takes the place of ours."""
        self._reported += tokens
        self._unreported = max(0, self._unreported - tokens)

    def overrun(self) -> None:
        if not self._is_overrun:
            self._is_overrun = True
            self._on_overrun()


class WorkLimit:
    """Counts turns and tool calls. `stop` is told, once, what was too much; 0 is no limit."""

    def __init__(self, max_turns: int, max_tool_calls: int, stop: Callable[[Error], None]) -> None:
        self._max_turns = max_turns
        self._max_tool_calls = max_tool_calls
        self._stop = stop
        self._turns = 0
        self._tool_calls = 0

    def turn(self) -> None:
        """An agent said something to its end."""
        self._turns += 1
        if self._turns == self._max_turns + 1 and self._max_turns:
            self._stop(Error("too_many_turns", f"the run was ended after its limit of {self._max_turns} turns"))

    def tool_call(self) -> None:
        self._tool_calls += 1
        if self._tool_calls == self._max_tool_calls + 1 and self._max_tool_calls:
            limit = self._max_tool_calls
            self._stop(Error("too_many_tool_calls", f"the run was ended after its limit of {limit} tool calls"))
