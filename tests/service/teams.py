"""Teams that delay the end of a server: with a thread, with the event loop, with a task.

Each of them leaves a file in the state directory when it begins to do so: `until_begun` waits for it.
"""

import asyncio
import logging
import os
import time
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.tools import FunctionTool

from aiostream_server.teams.context import TeamContext
from tests.kit.waiting import wait_for


def _begun(team: str, state_directory: str | None = None) -> Path:
    return Path(state_directory or os.environ["STATE_DIRECTORY"]) / f"{team}-has-begun"


async def until_begun(team: str, state_directory: Path) -> None:
    await wait_for(_begun(team, str(state_directory)).exists, f"{team} has begun")


def _sleep_in_a_thread() -> str:
    """Takes a minute."""
    _begun("sync-tool").touch()
    time.sleep(60)
    return "late"


def with_sync_tool(context: TeamContext) -> RoundRobinGroupChat:
    """Its tool's thread cannot be stopped."""
    tools = [FunctionTool(_sleep_in_a_thread, name="slow", description="slow")]
    return RoundRobinGroupChat([AssistantAgent("Worker", context.model(), tools=list(tools))], max_turns=1)


class BlocksTheLoop:
    """Does in the event loop what belongs into a thread."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    async def run(self) -> TaskResult:
        await asyncio.sleep(0.2)  # the stream's headers are out
        _begun("blocking").touch()
        end = time.monotonic() + self._seconds
        while time.monotonic() < end:
            time.sleep(0.05)  # noqa: ASYNC251 - that is the mistake
        return TaskResult(messages=[], stop_reason="done")


def blocks_the_loop(_: TeamContext) -> BlocksTheLoop:
    return BlocksTheLoop(60)


def stumbles(_: TeamContext) -> BlocksTheLoop:
    return BlocksTheLoop(0.3)


class DeafForEver:
    """No cancellation ends it."""

    async def run(self) -> TaskResult:
        while True:
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                continue


class WritesALot:
    async def run(self) -> TaskResult:
        for _ in range(2):
            logging.getLogger("library").warning("x" * 8_000)
            print("x" * 8_000)
        return TaskResult(messages=[], stop_reason="done")


def writes_a_lot(_: TeamContext) -> WritesALot:
    return WritesALot()


def deaf_for_ever(_: TeamContext) -> DeafForEver:
    return DeafForEver()
