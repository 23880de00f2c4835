"""Teams that delay the end of a server: with a thread, with the event loop, with a task.

Each of them leaves a file in the state directory when it begins to do so: `until_begun` waits for it.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import CancellationToken
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


def blocks_the_loop_for_a_while(_: TeamContext) -> BlocksTheLoop:
    return BlocksTheLoop(1.5)


def stumbles(_: TeamContext) -> BlocksTheLoop:
    return BlocksTheLoop(0.3)


async def _block_in_a_tool() -> str:
    """Blocks the loop for 0.4 s."""
    time.sleep(0.4)  # noqa: ASYNC251 - that is the mistake
    return "late"


def blocks_in_a_tool(context: TeamContext) -> RoundRobinGroupChat:
    tools = [FunctionTool(_block_in_a_tool, name="look_up", description="look up")]
    return RoundRobinGroupChat([AssistantAgent("Worker", context.model(), tools=list(tools))], max_turns=1)


def _hold_the_lock() -> str:
    """Holds Python's lock in one call of C."""
    sum(range(60_000_000))
    return "late"


def holds_the_lock_in_a_thread(context: TeamContext) -> RoundRobinGroupChat:
    tools = [FunctionTool(_hold_the_lock, name="look_up", description="look up")]
    return RoundRobinGroupChat([AssistantAgent("Worker", context.model(), tools=list(tools))], max_turns=1)


class BusyAgent(AssistantAgent):
    """Holds Python's lock for a while, in C."""

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        ends_at = time.thread_time() + 0.4
        while time.thread_time() < ends_at:
            sum(range(2_000_000))
        return Response(chat_message=TextMessage(content="done", source=self.name))

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        yield await self.on_messages(messages, cancellation_token)


def blocks_in_an_agent(context: TeamContext) -> RoundRobinGroupChat:
    return RoundRobinGroupChat([BusyAgent("Busy_Bee", context.model())], max_turns=1)


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
