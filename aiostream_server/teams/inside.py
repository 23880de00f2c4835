"""What is inside an AutoGen team. The one place that reads AutoGen's private attributes (autogen-agentchat 0.7.5)."""

import asyncio
from collections.abc import Iterator, Sequence

from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import CancellationToken
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import FunctionTool


def agents_in(team: object) -> Iterator[object]:
    """The team's agents, those of nested teams included; a lone agent is its own."""
    participants = getattr(team, "_participants", None)
    if participants is not None:
        for participant in participants:
            yield from agents_in(participant)
        return
    yield team
    inner = getattr(team, "_team", None)  # SocietyOfMindAgent
    if inner is not None:
        yield from agents_in(inner)


def wait_for_people(team: object) -> None:
    """Keep every `UserProxyAgent` from reading the server's own input, whatever function it was given.

    It asks (`UserInputRequestedEvent`), and waits until the run's token is cancelled. Those of agents that are used as
    tools are found, too.
    """
    for agent in _people_in(team):
        agent.input_func = _wait_until_cancelled
        agent._is_async = True  # noqa: SLF001 - worked out once, from the function that is replaced


def people_in(team: object) -> frozenset[str]:
    """The names of the agents that stand for a person."""
    return frozenset(agent.name for agent in _people_in(team))


def participant_names(team: object) -> frozenset[str]:
    """Who takes part in a group chat itself; of a nested team its own name, not those of its agents."""
    return frozenset(participant.name for participant in getattr(team, "_participants", ()))


def group_thread(team: object) -> Sequence[BaseAgentEvent | BaseChatMessage]:
    """What was said in a group chat that has run, or that a saved state was loaded into; empty of anything else."""
    runtime, manager = getattr(team, "_runtime", None), getattr(team, "_group_chat_manager_topic_type", None)
    agents = getattr(runtime, "_instantiated_agents", {})
    managers = (agent for agent_id, agent in agents.items() if agent_id.type == manager)
    return tuple(getattr(next(managers, None), "_message_thread", ()))


def shape_of(team: object) -> list[str]:
    """What a team is made of: a state belongs to teams of the same shape only."""
    agents = (f"{getattr(agent, 'name', '')}: {type(agent).__qualname__}" for agent in agents_in(team))
    return [type(team).__qualname__, *agents]


def agent_names(team: object) -> frozenset[str]:
    """Who can speak. Selectors, orchestrators and other managers are not among them."""
    names = (getattr(agent, "name", None) for agent in agents_in(team))
    return frozenset(name for name in names if isinstance(name, str))


def model_contexts(team: object) -> Iterator[ChatCompletionContext]:
    """Where agents keep the conversation that they show to their models."""
    for agent in agents_in(team):
        context = getattr(agent, "model_context", None)
        if isinstance(context, ChatCompletionContext):
            yield context


def sees_images(team: object) -> bool:
    """Whether the models of all its agents do. An agent without a model is shown what there is."""
    clients = (getattr(agent, "_model_client", None) for agent in agents_in(team))
    return all(client.model_info["vision"] for client in clients if isinstance(client, ChatCompletionClient))


def tools_in_threads(team: object) -> frozenset[str]:
    """The tools that AutoGen runs in a thread, where nothing can end them: plain functions."""
    tools = (tool for agent in agents_in(team) for tool in _tools_of(agent))
    return frozenset(tool.name for tool in tools if not asyncio.iscoroutinefunction(tool._func))  # noqa: SLF001


def _tools_of(agent: object) -> Iterator[FunctionTool]:
    workbenches = getattr(agent, "_workbench", None)
    for workbench in workbenches if isinstance(workbenches, Sequence) else ():
        for tool in getattr(workbench, "_tools", ()):
            if isinstance(tool, FunctionTool):
                yield tool


async def _wait_until_cancelled(_: str, cancellation_token: CancellationToken | None) -> str:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    if cancellation_token is not None:
        cancellation_token.link_future(answer)
    return await answer


def _people_in(team: object) -> Iterator[UserProxyAgent]:
    for agent in agents_in(team):
        if isinstance(agent, UserProxyAgent):
            yield agent
        workbenches = getattr(agent, "_workbench", None)
        for workbench in workbenches if isinstance(workbenches, Sequence) else ():
            for tool in getattr(workbench, "_tools", ()):
                inner = getattr(tool, "_task_runner", None)  # AgentTool, TeamTool
                if inner is not None:
                    yield from _people_in(inner)


def background_tasks(team: object) -> Iterator[Sequence[asyncio.Task[object]]]:
    """What the runtimes of the team and its nested teams are working on right now: the innermost runtimes first."""
    for participant in (*getattr(team, "_participants", ()), getattr(team, "_team", None)):
        if participant is not None:
            yield from background_tasks(participant)
    runtime = getattr(team, "_runtime", None)
    if tasks := tuple(getattr(runtime, "_background_tasks", ())):
        yield tasks
