"""The teams that are served: one that asks the provider, and one that tells how the server's process is."""

import asyncio
import ctypes
import gc
import json
from collections import Counter
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.embed import TeamContext


def solo(context: TeamContext) -> RoundRobinGroupChat:
    """A group chat of one: what is left behind by AutoGen's runtime is left behind by this."""
    return RoundRobinGroupChat([AssistantAgent("Solo", context.model(), system_message="")], max_turns=1)


class Inspector:
    """Answers with how many tasks and objects there are, once everything that is garbage is gone."""

    async def run(self, *, task: Any) -> TaskResult:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)  # so that the process's size says what it holds
        live = gc.get_objects()
        told = {
            "tasks": len(asyncio.all_tasks()),
            "objects": len(live),
            "types": Counter(type(thing).__qualname__ for thing in live),
        }
        return TaskResult(messages=[TextMessage(content=json.dumps(told), source="Inspector")])


def inspector(_: TeamContext) -> Inspector:
    return Inspector()
