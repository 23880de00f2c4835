"""The speakers of a run as AG-UI's subagents: each begins with its first event, and all end with the run."""

from collections.abc import Iterator
from typing import Any, TypeAlias

AGUIEvent: TypeAlias = dict[str, Any]
"""JSON, with a `type`."""


class Subagents:
    """The subagents of one run. `by` attributes an event to one of them."""

    __slots__ = ("_ids", "_run_id")

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._ids: dict[str, str] = {}

    def join(self, agent: str) -> Iterator[AGUIEvent]:
        """Before its first event."""
        if agent not in self._ids:
            self._ids[agent] = f"{self._run_id}-agent-{len(self._ids) + 1}"
            yield {"type": "SUBAGENT_STARTED", **self.by(agent), "name": agent}

    def by(self, agent: str) -> AGUIEvent:
        return {"subagentRunId": self._ids[agent]}

    def finish(self) -> Iterator[AGUIEvent]:
        for subagent in self._ids.values():
            yield {"type": "SUBAGENT_FINISHED", "subagentRunId": subagent}
