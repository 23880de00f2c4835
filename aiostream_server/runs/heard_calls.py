"""The tool calls of a run: each is told once, and its result once.

Our own model clients tell of a call at the end of a model's answer; AutoGen's message stream repeats it, and its
result, later. Calls of the client's own tools are told when the run ends, as its last events; one whose arguments are
refused inside is told as one of the team's own.
"""

from collections.abc import Collection, Iterator
from typing import Final, TypeAlias

from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult

from aiostream_server.events import Action, ActionToken, ToolRequested, ToolResult
from aiostream_server.models.live_arguments import CallPiece
from aiostream_server.runs.inside import masked
from aiostream_server.runs.log_writer import capped, pieces, shortened
from aiostream_server.teams.autogen_private.client_tools import ClientTools

_CallKey: TypeAlias = tuple[str, str]  # the agent and the call's id: two agents may use the same ids


class ToolCalls:
    """One run's. `heard` are the calls of the team's own tools. Methods give the events to tell, in their order."""

    def __init__(self, client_tools: ClientTools | None = None) -> None:
        self.heard: Final = HeardCalls()
        self._client_tools: Final = client_tools or ClientTools()
        self._for_client: Final[dict[_CallKey, FunctionCall]] = {}

    def written(self, agent: str, piece: CallPiece) -> Iterator[ActionToken]:
        """A piece of the arguments of a call, which `called` tells whole."""
        for_client = self._client_tools.takes(agent, piece.tool)
        for text in pieces(piece.text):
            yield ActionToken(agent, shortened(piece.tool), text, shortened(piece.call_id), for_client)

    def called(self, agent: str, call: FunctionCall) -> Iterator[Action]:
        """The call, unless the client is to answer it: then it is kept for the end of the run."""
        if self.is_clients(agent, call):
            self._for_client[agent, call.id] = call
        else:
            yield self._action(agent, call)

    def answered(
        self, agent: str, result: FunctionExecutionResult, *, summary: str, truncated: bool
    ) -> Iterator[Action | ToolResult]:
        """The result of a call, unless it has one, or the client is to give it."""
        if self._client_tools.has_called(agent, result.call_id):
            return
        if (call := self._for_client.pop((agent, result.call_id), None)) is not None:
            yield self._action(agent, call)
        if self.heard.is_first_answer(agent, result.call_id):
            tool, content, call_id = shortened(result.name), capped(result.content), shortened(result.call_id)
            is_cut = truncated or len(content) < len(result.content)
            if is_error := bool(result.is_error):
                content = masked(content)  # the model reads all of it
            yield ToolResult(agent, tool, content, call_id, is_error, is_cut, shortened(summary))

    def are_offered_by_client(self, agent: str) -> bool:
        """Whether the agent may call tools of the client."""
        return self._client_tools.are_offered(agent)

    def is_clients(self, agent: str, call: FunctionCall) -> bool:
        """Whether the client is to answer this call, unless its arguments are refused."""
        return self._client_tools.takes(agent, call.name)

    def requested(self, agents: Collection[str], call_ids: Collection[str]) -> Iterator[ToolRequested]:
        """The calls that the client is to answer."""
        for (caller, call_id), call in self._for_client.items():
            if caller in agents and call_id in call_ids:
                yield ToolRequested(caller, call.name, call.arguments, call_id)

    def _action(self, agent: str, call: FunctionCall) -> Action:
        self.heard.called(agent, call)
        arguments = capped(call.arguments)
        is_cut = len(arguments) < len(call.arguments)
        return Action(agent, shortened(call.name), arguments, shortened(call.id), is_cut)


class HeardCalls:
    """One run's tool calls. Ids may come again: some models number the calls of each answer from 0."""

    def __init__(self) -> None:
        self._tools: Final[dict[_CallKey, str]] = {}  # in the order of the calls
        self._answered: Final[dict[_CallKey, None]] = {}  # an empty set takes three times the memory
        self._told_early: Final[dict[_CallKey, int]] = {}

    @property
    def unanswered(self) -> frozenset[str]:
        """The tools that were called and have not answered."""
        return frozenset(tool for call, tool in self._tools.items() if call not in self._answered)

    def __bool__(self) -> bool:
        """Whether a tool was called."""
        return bool(self._tools)

    def __contains__(self, call: _CallKey) -> bool:
        return call in self._tools

    def are_answered(self, calls: set[_CallKey]) -> bool:
        return calls <= self._answered.keys()

    def called(self, agent: str, call: FunctionCall) -> None:
        key = agent, call.id
        self._tools.pop(key, None)  # it becomes the last one
        self._tools[key] = call.name
        self._answered.pop(key, None)

    def told_early(self, agent: str, call_id: str) -> None:
        """AutoGen will tell of this call again."""
        self._told_early[agent, call_id] = self._told_early.get((agent, call_id), 0) + 1

    def is_repeated(self, agent: str, call_id: str) -> bool:
        """Whether a call that AutoGen tells of was told early. Each early call counts once."""
        told = self._told_early.get((agent, call_id), 0)
        if told:
            self._told_early[agent, call_id] = told - 1
        return told > 0

    def is_first_answer(self, agent: str, call_id: str) -> bool:
        """Whether the call had no answer yet. It has one from now on.

        The call is the agent's own; if it made none with this id, the last one with this id of any agent: another agent
        may execute or judge it.
        """
        call = agent, call_id
        if call not in self._tools:
            call = next((made for made in reversed(self._tools) if made[1] == call_id), call)
        is_first = call not in self._answered
        self._answered[call] = None
        return is_first
