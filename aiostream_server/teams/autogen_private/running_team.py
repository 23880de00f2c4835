"""What a running team holds: its manager, the member that has the turn, its messages, and the tasks of its runtimes."""

import asyncio
from collections.abc import Iterator, Sequence

from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage

from aiostream_server.teams.autogen_private.structure import _directly_in


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
