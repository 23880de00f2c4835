"""Teams that use tools."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.teams.context import TeamContext

OPENED: Final[list[str]] = []


def helper(context: TeamContext) -> RoundRobinGroupChat:
    """One agent with all tools of the team, which answers in words after a tool call."""
    agent = AssistantAgent("Helper", context.model(), workbench=context.tools(), reflect_on_tool_use=True)
    return RoundRobinGroupChat([agent], max_turns=1)


def chooser(context: TeamContext) -> AssistantAgent:
    """A tool by its name, and a function."""

    async def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    return AssistantAgent("Helper", context.model(), workbench=context.tools(context.settings["tool"], double))


@asynccontextmanager
async def _resource(name: str) -> AsyncIterator[str]:
    task = asyncio.current_task()
    OPENED.append(name)
    yield name
    assert asyncio.current_task() is task, "anyio requires that the same task enters and leaves"
    OPENED.remove(name)


async def opener(context: TeamContext) -> AssistantAgent:
    """Opens something of its own for each run."""
    name = await context.open(_resource("mine"))
    return AssistantAgent("Helper", context.model(), system_message=f"You have {name}.")
