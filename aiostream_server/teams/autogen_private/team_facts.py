"""What follows from the agents that a team is made of: who speaks and answers, and what the team can take."""

import asyncio
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from autogen_agentchat.agents import BaseChatAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.teams import BaseGroupChat, MagenticOneGroupChat
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import FunctionTool

from aiostream_server.teams.autogen_private.structure import (
    agents_in,
    all_agents,
    everything_in,
    is_a,
    model_client_of,
    participants_of,
    tools_of,
)

ORCHESTRATOR: Final = "MagenticOneOrchestrator"
"""AutoGen gives every orchestrator of Magentic-One this name."""


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


def sees_images(team: object) -> bool:
    """Whether the models of all its agents take images. Agents without a model do not count."""
    clients = map(model_client_of, agents_in(team))
    return all(client.model_info["vision"] for client in clients if isinstance(client, ChatCompletionClient))


def state_signature(team: object) -> list[str]:
    """Classes and names of the agents: a saved state is loaded only into a team with the same signature."""
    agents = (f"{getattr(agent, 'name', '')}: {type(agent).__qualname__}" for agent in agents_in(team))
    return [type(team).__qualname__, *agents]
