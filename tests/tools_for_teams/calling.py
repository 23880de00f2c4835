"""Calls of a workbench's tools, as an agent makes them."""

from typing import Any

from autogen_core.tools import Workbench


async def said(workbench: Workbench, tool: str = "it", **arguments: Any) -> str:
    result = await workbench.call_tool(tool, arguments)
    assert not result.is_error, result
    return result.to_text()


async def failure(workbench: Workbench, tool: str = "it", **arguments: Any) -> str:
    result = await workbench.call_tool(tool, arguments)
    assert result.is_error, result
    return result.to_text()
