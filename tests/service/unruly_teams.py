"""Teams with tools that do to the event loop, or to the process, what no tool should."""

import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, RequestUsage
from autogen_ext.models.replay import ReplayChatCompletionClient

ABLE: Any = {
    "vision": False,
    "function_calling": True,
    "json_output": False,
    "structured_output": False,
    "family": "unknown",
}
_kept: list[object] = []


async def exits_in_a_callback() -> str:
    asyncio.get_running_loop().call_soon(sys.exit, 3)
    await asyncio.sleep(0.01)
    return "acted"


async def stops_the_loop() -> str:
    asyncio.get_running_loop().stop()
    await asyncio.sleep(0.01)
    return "acted"


async def closes_the_loop() -> str:
    asyncio.get_running_loop().close()
    return "acted"


async def cancels_all_tasks() -> str:
    for task in asyncio.all_tasks():
        if task is not asyncio.current_task():
            task.cancel()
    await asyncio.sleep(0.01)
    return "acted"


async def leaves_a_task() -> str:
    async def later() -> None:
        await asyncio.sleep(0.01)
        sys.exit(3)

    _kept.append(asyncio.create_task(later()))
    return "acted"


async def exits() -> str:
    sys.exit(3)


async def forks() -> str:
    """The child must end as it wants to, and must not serve."""
    if (child := os.fork()) == 0:
        sys.exit(7)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    return f"the child ended with {os.waitstatus_to_exitcode(status)}"


async def interrupts() -> str:
    signal.raise_signal(signal.SIGINT)
    return "acted"


def stops_an_iteration() -> str:
    raise StopIteration


async def stops_an_iteration_in_a_thread() -> str:
    return await asyncio.to_thread(stops_an_iteration)


async def stops_an_iteration_in_its_own_pool() -> str:
    with ThreadPoolExecutor() as pool:
        await asyncio.get_running_loop().run_in_executor(pool, stops_an_iteration)
    return "acted"


async def fails_unseen() -> str:
    """In a thread, and where Python ignores the error."""

    class Careless:
        def __del__(self) -> None:
            raise KeyError("del")

    thread = Thread(target=lambda: 1 / 0, name="reckoner")
    thread.start()
    thread.join()
    Careless()
    return "acted"


TOOLS = (
    exits,
    exits_in_a_callback,
    stops_the_loop,
    closes_the_loop,
    cancels_all_tasks,
    leaves_a_task,
    forks,
    stops_an_iteration,
    stops_an_iteration_in_a_thread,
    stops_an_iteration_in_its_own_pool,
    fails_unseen,
)


def _calling(tool: Any) -> RoundRobinGroupChat:
    usage = RequestUsage(1, 1)
    call = CreateResult(
        finish_reason="function_calls", content=[FunctionCall("c1", "{}", tool.__name__)], usage=usage, cached=False
    )
    tool.__doc__ = tool.__doc__ or "Acts."
    model = ReplayChatCompletionClient([call, "done"], model_info=ABLE)
    return RoundRobinGroupChat([AssistantAgent("Unruly", model, tools=[tool], reflect_on_tool_use=True)], max_turns=1)


def __getattr__(name: str) -> Any:
    """`team_NAME`, a factory of a team with an agent that calls the tool NAME."""
    tool = globals().get(name.removeprefix("team_"))
    if not name.startswith("team_") or tool is None:
        raise AttributeError(name)
    return lambda _: _calling(tool)
