"""Teams whose agents call the client's tools: one for each kind of group chat."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_core.tools import FunctionTool

from aiostream_server.teams.context import TeamContext


def _agent(context: TeamContext, name: str, **settings: Any) -> AssistantAgent:
    return AssistantAgent(
        name, context.model(), description=name, system_message=f"You are {name}.", max_tool_iterations=3, **settings
    )


async def _add(first: int, second: int) -> str:
    """Add."""
    return f"the sum is {first + second}"


def lone(context: TeamContext) -> AssistantAgent:
    """With a tool of its own."""
    return _agent(context, "Lone", tools=[FunctionTool(_add, name="add", description="Add.")])


def bare(context: TeamContext) -> AssistantAgent:
    """Without tools, as AutoGen makes it: one round of tools, and no words behind it."""
    return AssistantAgent("Bare", context.model(), system_message="You are Bare.")


def robin(context: TeamContext) -> RoundRobinGroupChat:
    """First, Second and Third, until one is done."""
    agents = [_agent(context, name) for name in ("First", "Second", "Third")]
    return RoundRobinGroupChat(list(agents), termination_condition=TextMentionTermination("DONE"))


def selector(context: TeamContext) -> SelectorGroupChat:
    agents = [_agent(context, name) for name in ("First", "Second")]
    return SelectorGroupChat(list(agents), context.model(), termination_condition=TextMentionTermination("DONE"))


def swarm(context: TeamContext) -> Swarm:
    """First hands over to Second."""
    first, second = _agent(context, "First", handoffs=["Second"]), _agent(context, "Second")
    return Swarm([first, second], termination_condition=TextMentionTermination("DONE"))


def magentic(context: TeamContext) -> MagenticOneGroupChat:
    return MagenticOneGroupChat([_agent(context, "First")], context.model())


def fork(context: TeamContext) -> GraphFlow:
    """First and Second at the same time, then Third."""
    agents = [_agent(context, name) for name in ("First", "Second", "Third")]
    builder = DiGraphBuilder()
    for agent in agents:
        builder.add_node(agent)
    builder.add_edge(agents[0], agents[2]).add_edge(agents[1], agents[2])
    return GraphFlow(list(agents), builder.build(), termination_condition=MaxMessageTermination(20))


def graph(context: TeamContext) -> GraphFlow:
    """First, then Second, then Third."""
    agents = [_agent(context, name) for name in ("First", "Second", "Third")]
    builder = DiGraphBuilder()
    for agent in agents:
        builder.add_node(agent)
    builder.add_edge(agents[0], agents[1]).add_edge(agents[1], agents[2])
    return GraphFlow(list(agents), builder.build(), termination_condition=MaxMessageTermination(20))
