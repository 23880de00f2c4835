"""Gives the client's tools to agents. A call of one ends the run; the next run brings its result.

To AutoGen such a tool answers at once, with a text that says that there is no result yet. So an agent's context holds
each call with a result at any time, and the team's own tools that the model calls beside it run as always. Then the
agent's turn stops, before the next model call, and the team's state can be saved. `resumed_turn` replaces the text by
the client's result, and lets the same agent go on.
"""

import asyncio
import json
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final, TypeAlias, TypeGuard, cast

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.messages import BaseChatMessage, ToolCallExecutionEvent
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import ParametersSchema, TextResultContent, ToolResult, ToolSchema, Workbench

from aiostream_server.intake.client_tools import AUTO, ClientTool, ToolChoice
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.tool_schemas import accepted_of_client
from aiostream_server.teams.autogen_private.fresh_team import until_cancelled
from aiostream_server.teams.autogen_private.structure import (
    handoff_names,
    model_client_of,
    participants_of,
    replace_workbenches,
    tools_in,
    workbenches_of,
)
from aiostream_server.teams.stateless_workbench import StatelessWorkbench

_SMALL: Final = 4 * 1024  # characters of tools: their schemas take two milliseconds
NO_RESULT: Final = "There is no result: the user's program has not answered this call."

Check: TypeAlias = Callable[[str, str], Awaitable[str]]
"""Of a tool's name and its arguments (JSON text): what is wrong with the arguments; empty if nothing is."""


def callers_in(team: object, answer_from: Collection[str]) -> Sequence[BaseChatAgent]:
    """The agents that may call the client's tools: those that answer; of a team where none of these can, all that can.

    An agent can if it calls tools, and stands alone or is itself a member of the group chat: the turn of an agent
    inside another one cannot be resumed.
    """
    able = [member for member in participants_of(team) or [team] if _calls_tools(member)]
    return [agent for agent in able if agent.name in answer_from] or able


async def client_tools(tools: Sequence[ClientTool], choice: ToolChoice, check: Check | None = None) -> "ClientTools":
    """The tools with schemas that strict providers take."""
    schemas = [_schema(tool) for tool in tools]
    is_long = sum(len(str(schema)) for schema in schemas) > _SMALL
    accepted = await asyncio.to_thread(accepted_of_client, schemas) if is_long else accepted_of_client(schemas)
    return ClientTools(accepted, choice, check)


class ClientTools:
    """One run's; without arguments there are none. `check` looks at the arguments of a call before it is passed on."""

    def __init__(
        self, schemas: Sequence[ToolSchema] = (), choice: ToolChoice = AUTO, check: Check | None = None
    ) -> None:
        self._schemas: Final = schemas
        self._choice: Final = choice
        self._check: Final = check
        self._benches: Final[dict[str, _ClientToolbench]] = {}  # by the agent's name

    def give_to(self, agents: Sequence[BaseChatAgent]) -> None:
        """Give the tools to agents that have never run, and make each stop its turn after a call of one."""
        for agent in agents:
            own = [bench for bench in workbenches_of(agent) if isinstance(bench, Workbench)]
            bench = _ClientToolbench(self._schemas, own, handoff_names(agent), self._check)
            self._benches[agent.name] = bench
            replace_workbenches(agent, [*own, bench])
            _stop_after_calls(agent, bench)
            client = model_client_of(agent)
            if isinstance(client, StreamingClient):
                choice = _model_choice(self._choice, is_alone=not (any(map(_has_tools, own)) or handoff_names(agent)))
                vars(agent)["_model_client"] = client.calling_tools(choice, is_parallel=self._choice.is_parallel)

    def takes(self, agent: str, tool: str) -> bool:
        """Whether a call of the tool by this agent goes to the client."""
        bench = self._benches.get(agent)
        return bench is not None and tool in bench.names

    def are_offered(self, agent: str) -> bool:
        """Whether this agent is offered any."""
        bench = self._benches.get(agent)
        return bench is not None and bool(bench.names)

    def has_called(self, agent: str, call_id: str) -> bool:
        """Whether the client is to answer this call."""
        bench = self._benches.get(agent)
        return bench is not None and call_id in bench.called

    def called_in(self, event: object) -> tuple[str, ...]:
        """The ids of the calls that wait for the client, if `event` is what an agent's turn stops after."""
        if not isinstance(event, ToolCallExecutionEvent) or (bench := self._benches.get(event.source)) is None:
            return ()
        return bench.called_in(event)


class _ClientToolbench(StatelessWorkbench):
    """The client's tools for one agent. A name that a tool or handoff of the agent's own has means that one."""

    def __init__(
        self, schemas: Sequence[ToolSchema], own: Sequence[Workbench], handoffs: Sequence[str], check: Check | None
    ) -> None:
        self._schemas: Final = {schema["name"]: schema for schema in schemas}
        self._own: Final = own
        self._handoffs: Final = handoffs
        self._check: Final = check
        self.called: Final[set[str]] = set()
        self.names: frozenset[str] = frozenset()
        """As they were listed last."""

    def called_in(self, event: ToolCallExecutionEvent) -> tuple[str, ...]:
        return tuple(result.call_id for result in event.content if result.call_id in self.called)

    async def list_tools(self) -> list[ToolSchema]:
        taken = {tool["name"] for bench in self._own for tool in await bench.list_tools()}.union(self._handoffs)
        listed = {name: schema for name, schema in self._schemas.items() if name not in taken}
        self.names = frozenset(listed)
        return list(listed.values())

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        if self._check is not None and (problem := await self._check(name, json.dumps(arguments or {}))):
            wrong = f"The arguments do not fit: {problem}"
            return ToolResult(name=name, result=[TextResultContent(content=wrong)], is_error=True)
        self.called.add(call_id or "")
        return ToolResult(name=name, result=[TextResultContent(content=NO_RESULT)])


def _calls_tools(member: object) -> TypeGuard[BaseChatAgent]:
    client = model_client_of(member)
    is_able = isinstance(client, ChatCompletionClient) and client.model_info["function_calling"]
    return isinstance(member, BaseChatAgent) and is_able and isinstance(getattr(member, "_workbench", None), list)


def _has_tools(bench: Workbench) -> bool:
    """Whether it has tools, as far as is known before it is opened."""
    tools = tools_in(bench)
    return tools is None or bool(tools)


def _model_choice(choice: ToolChoice, *, is_alone: bool) -> str:
    """Where a call is forced, the agent's own tools may be called before it. `is_alone`: it has none."""
    if choice.mode == "named":
        return choice.names[0] if is_alone else "required"
    return choice.mode


def _schema(tool: ClientTool) -> ToolSchema:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    schema = ToolSchema(name=tool.name, parameters=cast("ParametersSchema", parameters))
    if tool.description:
        schema["description"] = tool.description
    if tool.strict is not None:
        schema["strict"] = tool.strict
    return schema


def _stop_after_calls(agent: BaseChatAgent, bench: _ClientToolbench) -> None:
    """Make the agent's turn wait for ever behind the event that tells of a call of the client's tools."""
    agent_of = weakref.ref(agent)  # the agent holds this function: a reference cycle would need the garbage collector

    async def on_messages_stream(
        messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[Any, None]:
        running = agent_of()
        if running is None:
            raise RuntimeError("the agent is gone")
        async with aclosing(type(running).on_messages_stream(running, messages, cancellation_token)) as items:
            async for item in items:
                is_last = isinstance(item, ToolCallExecutionEvent) and bool(bench.called_in(item))
                if is_last and isinstance(messages, list):
                    messages.clear()  # the agent has read them: its group chat must not give them to it again
                yield item
                if is_last:
                    await until_cancelled(cancellation_token)

    vars(agent)["on_messages_stream"] = on_messages_stream
