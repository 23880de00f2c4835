"""Prints the CPU milliseconds that AutoGen takes for a run of the smallest team, with a model that costs nothing."""

import asyncio
import statistics
import sys
import time
from typing import Final

import uvloop
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_ext.models.replay import ReplayChatCompletionClient

_RUNS: Final = 100
_AT_ONCE: Final = 10
_BATCHES: Final = 3


async def _run(model: ReplayChatCompletionClient) -> None:
    agent = AssistantAgent("Solo", model, system_message="")
    async for _ in RoundRobinGroupChat([agent], max_turns=1).run_stream(task="hello"):
        pass


async def main() -> None:
    model = ReplayChatCompletionClient(["hello"] * (_RUNS * (_BATCHES + 1)))
    found = []
    for _ in range(_BATCHES + 1):
        before = time.process_time()
        for _ in range(_RUNS // _AT_ONCE):
            await asyncio.gather(*(_run(model) for _ in range(_AT_ONCE)))
        found.append((time.process_time() - before) / _RUNS)
    sys.stdout.write(f"{statistics.median(found[1:]) * 1_000:.3f}")


if __name__ == "__main__":
    uvloop.run(main())
