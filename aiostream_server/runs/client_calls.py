"""The calls of the client's tools that a run's agents make. They are told when the run ends, as its last events.

A model may call such a tool with arguments that are refused inside. Then the call is told as one of the team's own.
"""

from collections.abc import Collection, Iterator
from typing import Final

from autogen_core import FunctionCall

from aiostream_server.events import ToolRequested
from aiostream_server.teams.autogen_private.client_tools import ClientTools


class ClientCalls:
    """One run's."""

    def __init__(self, tools: ClientTools | None = None) -> None:
        self._tools: Final = tools or ClientTools()
        self._made: Final[dict[tuple[str, str], FunctionCall]] = {}  # by agent and call id

    def are_offered(self, agent: str) -> bool:
        return self._tools.are_offered(agent)

    def takes(self, agent: str, tool: str) -> bool:
        """Whether a call of this tool goes to the client, unless its arguments are refused."""
        return self._tools.takes(agent, tool)

    def is_one(self, agent: str, call: FunctionCall) -> bool:
        return self.takes(agent, call.name)

    def take(self, agent: str, call: FunctionCall) -> bool:
        """Keep the call, if it is one. Returns whether it is."""
        if is_one := self.is_one(agent, call):
            self._made[agent, call.id] = call
        return is_one

    def waits(self, agent: str, call_id: str) -> bool:
        """Whether the client is to answer this call."""
        return self._tools.has_called(agent, call_id)

    def refused(self, agent: str, call_id: str) -> FunctionCall | None:
        """The call that was answered inside; None for any other, and from the second time on."""
        return self._made.pop((agent, call_id), None)

    def requested(self, agents: Collection[str], call_ids: Collection[str]) -> Iterator[ToolRequested]:
        for (caller, call_id), call in self._made.items():
            if caller in agents and call_id in call_ids:
                yield ToolRequested(caller, call.name, call.arguments, call_id)
