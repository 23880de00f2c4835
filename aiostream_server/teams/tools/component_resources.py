"""Ties the MCP workbenches and code executors of a team from component JSON to the run: both open and close together.

AutoGen itself opens such a workbench when it is first used, and closes it when the last reference to it is dropped.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autogen_core.tools import Workbench

from aiostream_server.errors import ToolFailed
from aiostream_server.teams.autogen_private.mcp_workbench import is_unstarted_mcp, mcp_sampling, mcp_tool_overrides
from aiostream_server.teams.autogen_private.structure import (
    code_executors_in,
    everything_in,
    is_unstarted_executor,
    replace_workbenches,
    workbenches_of,
)
from aiostream_server.teams.tools.scope import RunScope
from aiostream_server.teams.tools.unique_toolset import make_names_unique
from aiostream_server.text import one_line

if TYPE_CHECKING:
    from autogen_ext.tools.mcp import McpWorkbench

_MIN_SECRET_CHARS = 6


async def tie_to_run(team: object, scope: RunScope) -> None:
    """Raises `ToolFailed` for a code executor that cannot be started.

    Tools of one agent get names of their own. Replaces an `McpWorkbench` that has not been started by an `McpToolset`.
    One that has been started stays, because its owner may use it for other runs too.
    """
    ours: dict[int, Workbench] = {}
    things = everything_in(team)
    for thing in things:
        workbenches = workbenches_of(thing)
        unstarted = [workbench for workbench in workbenches if is_unstarted_mcp(workbench)]
        for workbench in unstarted:
            if id(workbench) not in ours:
                ours[id(workbench)] = _replacement(workbench, scope)
        if unstarted:
            replace_workbenches(thing, [ours.get(id(workbench), workbench) for workbench in workbenches])
        make_names_unique(thing)
    for executor in code_executors_in(things):
        if is_unstarted_executor(executor):
            scope.on_close(executor.stop)
            try:
                await executor.start()
            except Exception as exc:  # the docker package raises many kinds of errors
                kind = type(executor).__name__
                raise ToolFailed(f"the code executor {kind} cannot be started: {one_line(exc, 200)}") from exc


def _replacement(workbench: "McpWorkbench", scope: RunScope) -> Workbench:
    from aiostream_server.teams.tools.mcp.connection import McpSettings
    from aiostream_server.teams.tools.mcp.server import McpServer
    from aiostream_server.teams.tools.mcp.transport import Program, Service
    from aiostream_server.teams.tools.mcp.workbench import McpToolset

    params: Any = workbench.server_params
    place: Program | Service
    if params.type == "StdioServerParams":
        secret = dict[str, str](params.env or {})
        place = Program(params.command, params.args, secret, Path(params.cwd or "."))
        name, call_timeout_s = Path(params.command).name, params.read_timeout_seconds
    else:
        call_timeout_s = params.sse_read_timeout
        secret = {key: str(value) for key, value in (params.headers or {}).items()}
        place = Service(params.url, params.type == "SseServerParams", secret, call_timeout_s)
        name = urlsplit(params.url).hostname or "mcp"
    server = McpServer(
        McpSettings(
            name=name,
            place=place,
            call_timeout_s=call_timeout_s,
            source="the team's own McpWorkbench",
            secrets=tuple(_secrets_of(secret.values())),
            sampling=mcp_sampling(workbench),
        )
    )
    scope.on_close(server.close)
    return McpToolset(server, overrides=mcp_tool_overrides(workbench))


def _secrets_of(values: Iterable[str]) -> Iterator[str]:
    """Any value may be secret. Hiding short ones would garble messages. `Bearer TOKEN` also gives TOKEN."""
    for value in values:
        yield from {each for each in (value, value.rpartition(" ")[2]) if len(each) >= _MIN_SECRET_CHARS}
