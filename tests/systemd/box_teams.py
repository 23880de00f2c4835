"""Teams that look at the sandbox from inside, and one that blocks the event loop."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import TextMessage

from aiostream_server.teams.context import TeamContext

_PROBES = Path(__file__).with_name("probes.py")


class Probes:
    """Runs all probes in a process that the server starts, as a tool would; its answer is their JSON."""

    async def run(self, *, task: Any) -> TaskResult:
        probing = await asyncio.create_subprocess_exec(sys.executable, _PROBES, stdout=asyncio.subprocess.PIPE)
        report, _ = await probing.communicate()
        return TaskResult(messages=[*task, TextMessage(content=report.decode(), source="Probes")], stop_reason="done")


def probes(_: TeamContext) -> Probes:
    return Probes()


class Blocks:
    """Does in the event loop what belongs into a thread."""

    async def run(self, task: object) -> TaskResult:
        time.sleep(60)  # noqa: ASYNC251 - that is the mistake
        return TaskResult(messages=[], stop_reason="done")


def blocks(_: TeamContext) -> Blocks:
    return Blocks()
