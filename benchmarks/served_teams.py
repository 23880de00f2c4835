"""The served teams: one that asks the provider, and one that reports on the server's process."""

import asyncio
import ctypes
import gc
import json
import sys
from collections import Counter
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.embed import TeamContext


def solo(context: TeamContext) -> RoundRobinGroupChat:
    """A group chat of one agent, so that leaks of AutoGen's runtime show."""
    return RoundRobinGroupChat([AssistantAgent("Solo", context.model(), system_message="")], max_turns=1)


class Inspector:
    """Answers with the numbers of tasks, objects and blocks of memory, after a garbage collection."""

    async def run(self, *, task: Any) -> TaskResult:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # returns freed memory, so that the process's size shows what it holds
        live = gc.get_objects()
        told = {
            "tasks": len(asyncio.all_tasks()),
            "objects": len(live),
            "blocks": sys.getallocatedblocks(),
            "types": Counter(type(thing).__qualname__ for thing in live),
        }
        return TaskResult(messages=[TextMessage(content=json.dumps(told), source="Inspector")])


def inspector(_: TeamContext) -> Inspector:
    return Inspector()
