"""AutoGen's `McpWorkbench`: what its settings are, and how it answers a server that asks for a model's words."""

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from autogen_core.tools import ToolOverride

if TYPE_CHECKING:
    from autogen_ext.tools.mcp import McpWorkbench
    from mcp.client.session import SamplingFnT

_MCP: Final = "autogen_ext.tools.mcp"


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
