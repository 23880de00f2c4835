"""Reads what an AutoGen team is made of, and changes its tools: agents, nested teams, tools, clients and messages.

Agents that are used as tools (`AgentTool`, `TeamTool`) speak, but are no participants: the team's messages do not
reach them, and their memory is not saved with the team.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeGuard, TypeVar

from autogen_agentchat.agents import BaseChatAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat, MagenticOneGroupChat
from autogen_core.code_executor import CodeExecutor
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import FunctionTool, ToolOverride

if TYPE_CHECKING:
    from autogen_ext.tools.langchain import LangChainToolAdapter
    from autogen_ext.tools.mcp import McpWorkbench
    from mcp.client.session import SamplingFnT

_Kind = TypeVar("_Kind")

_MCP: Final = "autogen_ext.tools.mcp"
ORCHESTRATOR: Final = "MagenticOneOrchestrator"
"""AutoGen gives every orchestrator of Magentic-One this name."""


def is_a(thing: object, kind: type[_Kind]) -> TypeGuard[_Kind]:
    """As `isinstance`, which takes 2 µs for AutoGen's classes, since they derive from a `Protocol`."""
    return kind in type(thing).__mro__


def participants_of(thing: object) -> Sequence[object] | None:
    """The members of a group chat; None for anything else."""
    return _listed(getattr(thing, "_participants", None))


def _listed(things: object) -> Sequence[object] | None:
    """As AutoGen keeps them: not `Sequence`, which takes ten times as long to test."""
    return things if isinstance(things, list | tuple) else None


def inner_of(agent: object) -> Iterator[object]:
    """What an agent speaks through: the team of a `SocietyOfMindAgent`, the agent of a `MessageFilterAgent`."""
    for attribute in ("_team", "_wrapped_agent"):
        if (inner := getattr(agent, attribute, None)) is not None:
            yield inner


def model_client_of(thing: object) -> object | None:
    return getattr(thing, "_model_client", None)


def workbenches_of(agent: object) -> Sequence[object]:
    return _listed(getattr(agent, "_workbench", None)) or ()


def tools_of(agent: object) -> Iterator[object]:
    """The tools that are known before a workbench is opened."""
    for workbench in workbenches_of(agent):
        yield from getattr(workbench, "_tools", ())


def tools_in(workbench: object) -> Sequence[object] | None:
    """The tools of one workbench; None for one that shows them only once it is opened."""
    return _listed(getattr(workbench, "_tools", None))


def run_by_tool(tool: object) -> object | None:
    """The agent or team that an `AgentTool` or a `TeamTool` runs; None for any other tool."""
    return getattr(tool, "_task_runner", None)


class Everything(tuple[object, ...]):
    """What `everything_in` found. The functions here that look at all of a team take this instead of the team, too."""

    __slots__ = ()


def everything_in(team: object) -> Everything:
    """The team and each agent and team below it, as participant, inner team or tool: each of them once."""
    if isinstance(team, Everything):
        return team
    found: dict[int, object] = {}
    waiting = [team]
    while waiting:
        if id(thing := waiting.pop()) not in found:
            found[id(thing)] = thing
            waiting += _directly_in(thing)
    return Everything(found.values())


def _directly_in(team: object) -> Iterator[object]:
    yield from participants_of(team) or ()
    yield from inner_of(team)
    yield from (runner for tool in tools_of(team) if (runner := run_by_tool(tool)) is not None)


def agents_in(team: object) -> Iterator[object]:
    """The team's agents and those of nested teams, without agents in tools; a lone agent yields itself."""
    participants = participants_of(team)
    if participants is None:
        yield team
    for inner in inner_of(team) if participants is None else participants:
        yield from agents_in(inner)


def all_agents(team: object) -> Iterator[object]:
    """The same, with agents in tools."""
    return (thing for thing in everything_in(team) if participants_of(thing) is None)


def user_proxies(team: object) -> Iterator[UserProxyAgent]:
    return (agent for agent in everything_in(team) if is_a(agent, UserProxyAgent))


def people_in(team: object) -> frozenset[str]:
    """The names of the agents that stand for a person."""
    return frozenset(agent.name for agent in user_proxies(team))


def participant_names(team: object) -> tuple[str, ...]:
    """The participants of a group chat itself, in order: a nested team counts by its own name, without its agents."""
    return tuple(participant.name for participant in getattr(team, "_participants", ()))


def agent_names(team: object) -> frozenset[str]:
    """Every agent that can speak, those in tools included. Of the managers only Magentic-One's orchestrator can."""
    things = everything_in(team)
    names = {getattr(agent, "name", None) for agent in all_agents(things)}
    if any(is_a(thing, MagenticOneGroupChat) for thing in things):
        names.add(ORCHESTRATOR)
    return _shared(frozenset(name for name in names if isinstance(name, str)))


@lru_cache(maxsize=256)
def _shared(names: frozenset[str]) -> frozenset[str]:
    """The same set for equal ones: every live run keeps several, of 216 bytes."""
    return names


def names_are_complete(team: object) -> bool:
    """Whether `agent_names` is the full list: true if the team holds only AutoGen's kinds of agents and teams."""
    return all(isinstance(thing, BaseChatAgent | BaseGroupChat) for thing in everything_in(team))


def answerers(team: object) -> frozenset[str]:
    """The agents that answer where `answer_from` is not set: a lone agent (not its inner ones), or an orchestrator."""
    if is_a(team, MagenticOneGroupChat):
        return frozenset({ORCHESTRATOR})
    if (participants := participants_of(team)) is not None:
        return answerers(participants[0]) if len(participants) == 1 else frozenset()
    if (wrapped := getattr(team, "_wrapped_agent", None)) is not None:
        return answerers(wrapped)
    name = getattr(team, "name", None)
    return _shared(frozenset({name} if isinstance(name, str) else ()))


def client_of_agent(team: object, name: str) -> ChatCompletionClient | None:
    """The model client of the agent of that name; of any agent, if that one has none."""
    agents = sorted(all_agents(team), key=lambda agent: getattr(agent, "name", None) != name)
    clients = (client for agent in agents if isinstance(client := model_client_of(agent), ChatCompletionClient))
    return next(clients, None)


def code_runners(team: object) -> frozenset[str]:
    """The agents without a model that execute the code blocks of others: their messages are program output."""
    runners = (agent for agent in all_agents(team) if is_a(agent, CodeExecutorAgent))
    return _shared(frozenset(agent.name for agent in runners if model_client_of(agent) is None))


def tools_in_threads(team: object) -> frozenset[str]:
    """The tools that AutoGen runs in a thread, which cannot be cancelled: plain (not async) functions."""
    tools = (tool for agent in all_agents(team) for tool in tools_of(agent) if isinstance(tool, FunctionTool))
    return frozenset(tool.name for tool in tools if not asyncio.iscoroutinefunction(tool._func))


def model_contexts(team: object) -> Iterator[ChatCompletionContext]:
    """The message histories that agents send to their models."""
    for agent in agents_in(team):
        context = getattr(agent, "model_context", None)
        if isinstance(context, ChatCompletionContext):
            yield context


def sees_images(team: object) -> bool:
    """Whether the models of all its agents take images. Agents without a model do not count."""
    clients = map(model_client_of, agents_in(team))
    return all(client.model_info["vision"] for client in clients if isinstance(client, ChatCompletionClient))


def state_signature(team: object) -> list[str]:
    """Classes and names of the agents: a saved state is loaded only into a team with the same signature."""
    agents = (f"{getattr(agent, 'name', '')}: {type(agent).__qualname__}" for agent in agents_in(team))
    return [type(team).__qualname__, *agents]


def manager_of(team: object) -> object | None:
    """The manager of a group chat that has run, or has saved or loaded its state; None for anything else."""
    runtime, manager = getattr(team, "_runtime", None), getattr(team, "_group_chat_manager_topic_type", None)
    agents = getattr(runtime, "_instantiated_agents", {})
    return next((agent for agent_id, agent in agents.items() if agent_id.type == manager), None)


def active_speakers(team: object) -> frozenset[str]:
    """The members of a group chat whose turns it waits for; several only in a graph. Empty for anything else."""
    return frozenset(getattr(manager_of(team), "_active_speakers", ()))


def group_thread(team: object) -> Sequence[BaseAgentEvent | BaseChatMessage]:
    """The messages of such a group chat; empty for anything else."""
    return tuple(getattr(manager_of(team), "_message_thread", ()))


def background_tasks(team: object) -> Iterator[Sequence[asyncio.Task[object]]]:
    """The tasks of the runtimes of the team and of the teams inside it, the innermost runtimes first."""
    for inner in _directly_in(team):
        yield from background_tasks(inner)
    runtime = getattr(team, "_runtime", None)
    if tasks := tuple(getattr(runtime, "_background_tasks", ())):
        yield tasks


@dataclass(frozen=True, slots=True)
class TeamParts:
    """The parts of an agent or a team; a part that it does not have is empty.

    `participants` is None unless it is a group chat. `closed_workbenches` show their tools only once they are opened.
    `handoffs` are agent names. `selects` is a function that chooses the next speaker.
    """

    participants: Sequence[object] | None
    inner: Sequence[object]
    client: object | None
    tools: Sequence[object]
    closed_workbenches: Sequence[object]
    handoffs: Sequence[str]
    termination: object | None
    max_turns: int | None
    graph: object | None
    selects: object | None


def parts_of(thing: object) -> TeamParts:
    handoffs = getattr(thing, "_handoffs", None)
    return TeamParts(
        participants=participants_of(thing),
        inner=tuple(inner_of(thing)),
        client=model_client_of(thing),
        tools=tuple(tools_of(thing)),
        closed_workbenches=[bench for bench in workbenches_of(thing) if bench and not hasattr(bench, "_tools")],
        handoffs=[str(each.target) for each in handoffs.values()] if isinstance(handoffs, dict) else [],
        termination=getattr(thing, "_termination_condition", None),
        max_turns=getattr(thing, "_max_turns", None),
        graph=getattr(thing, "_graph", None),
        selects=getattr(thing, "_selector_func", None),
    )


def handoff_names(agent: object) -> Sequence[str]:
    """The names of the tools by which an agent hands off."""
    handoffs = getattr(agent, "_handoffs", None)
    return list(handoffs) if isinstance(handoffs, dict) else []


def handoff_tools(agent: object) -> Sequence[object]:
    return _listed(getattr(agent, "_handoff_tools", None)) or ()


def replace_workbenches(agent: object, workbenches: Sequence[object]) -> None:
    vars(agent)["_workbench"] = list(workbenches)


def is_unstarted_mcp(workbench: object) -> "TypeGuard[McpWorkbench]":
    """Whether this is an `McpWorkbench` without a session. Does not import AutoGen's MCP module, nor `mcp`."""
    loaded = sys.modules.get(_MCP)  # if it is not loaded, there is no such workbench
    is_autogens = loaded is not None and type(workbench) is loaded.McpWorkbench
    return is_autogens and getattr(workbench, "_actor", None) is None


def mcp_tool_overrides(workbench: "McpWorkbench") -> Mapping[str, ToolOverride]:
    return workbench._tool_overrides


def mcp_sampling(workbench: "McpWorkbench") -> "SamplingFnT | None":
    """Answers a server's request for a model's words (MCP "sampling") as AutoGen does; None without a model client."""
    client = workbench._model_client
    return None if client is None else _Sampling(client).answer


class _Sampling:
    """Passed to a callback of `McpSessionActor` as its `self`, of which the callback only reads `_model_client`."""

    def __init__(self, model_client: object) -> None:
        self._model_client = model_client

    async def answer(self, context: Any, params: Any) -> Any:  # the types of MCP's callback
        from autogen_ext.tools.mcp import McpSessionActor

        return await McpSessionActor._sampling_callback(self, context, params)  # type: ignore[arg-type]


def code_executors_in(team: object) -> Iterator[CodeExecutor]:
    """Those of agents and of tools: each once."""
    found: dict[int, CodeExecutor] = {}
    for thing in everything_in(team):
        candidates = [getattr(thing, "_code_executor", None)]
        candidates += [getattr(tool, "_executor", None) for tool in tools_of(thing)]
        for candidate in candidates:
            if candidate is not None and isinstance(candidate, CodeExecutor):
                found[id(candidate)] = candidate
    return iter(found.values())


def is_unstarted_executor(executor: CodeExecutor) -> bool:
    state = vars(executor)
    return state.get("_running", state.get("_started")) is False


def await_in_loop(adapter: "LangChainToolAdapter", coroutine: Callable[..., object]) -> None:
    """Run a LangChain tool's coroutine. AutoGen runs its plain function in a thread; without one the tool fails."""
    adapter._callable = coroutine
