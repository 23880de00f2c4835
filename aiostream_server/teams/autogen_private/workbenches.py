"""Reads and changes the tools of AutoGen's agents: MCP workbenches, code executors, LangChain adapters."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from autogen_core.code_executor import CodeExecutor
from autogen_core.tools import ToolOverride

from aiostream_server.teams.autogen_private.structure import everything_in, tools_of

if TYPE_CHECKING:
    from autogen_ext.tools.langchain import LangChainToolAdapter
    from autogen_ext.tools.mcp import McpWorkbench
    from mcp.client.session import SamplingFnT

_MCP: Final = "autogen_ext.tools.mcp"


def replace_workbenches(agent: object, workbenches: Sequence[object]) -> None:
    vars(agent)["_workbench"] = list(workbenches)


def is_unstarted_mcp(workbench: object) -> "TypeGuard[McpWorkbench]":
    """Whether this is an `McpWorkbench` without a session. Does not import AutoGen's MCP module, nor `mcp`."""
    loaded = sys.modules.get(_MCP)  # if it is not loaded, there is no such workbench
    is_autogens = loaded is not None and type(workbench) is loaded.McpWorkbench
    return is_autogens and getattr(workbench, "_actor", None) is None


def mcp_tool_overrides(workbench: "McpWorkbench") -> Mapping[str, ToolOverride]:
    return workbench._tool_overrides


def mcp_sampling(workbench: "McpWorkbench") -> "SamplingFnT | None":
    """Answers a server's request for a model's words (MCP "sampling") as AutoGen does; None without a model client."""
    client = workbench._model_client
    return None if client is None else _Sampling(client).answer


class _Sampling:
    """Passed to a callback of `McpSessionActor` as its `self`, of which the callback only reads `_model_client`."""

    def __init__(self, model_client: object) -> None:
        self._model_client = model_client

    async def answer(self, context: Any, params: Any) -> Any:  # the types of MCP's callback
        from autogen_ext.tools.mcp import McpSessionActor

        return await McpSessionActor._sampling_callback(self, context, params)  # type: ignore[arg-type]


def code_executors_in(team: object) -> Iterator[CodeExecutor]:
    """Those of agents and of tools: each once."""
    found: dict[int, CodeExecutor] = {}
    for thing in everything_in(team):
        candidates = [getattr(thing, "_code_executor", None)]
        candidates += [getattr(tool, "_executor", None) for tool in tools_of(thing)]
        found |= {id(candidate): candidate for candidate in candidates if isinstance(candidate, CodeExecutor)}
    return iter(found.values())


def is_unstarted_executor(executor: CodeExecutor) -> bool:
    state = vars(executor)
    return state.get("_running", state.get("_started")) is False


def await_in_loop(adapter: "LangChainToolAdapter", coroutine: Callable[..., object]) -> None:
    """Run a LangChain tool's coroutine. AutoGen runs its plain function in a thread; without one the tool fails."""
    adapter._callable = coroutine
