"""The kind "mcp" of tools: an MCP server of the configuration."""

from collections.abc import Sequence
from typing import Final

from autogen_core.tools import Workbench

from aiostream_server.config.model import McpToolConfig
from aiostream_server.errors import ToolFailed
from aiostream_server.teams.tools.mcp.connection import McpSettings
from aiostream_server.teams.tools.mcp.server import McpServer
from aiostream_server.teams.tools.mcp.transport import Program, Service
from aiostream_server.teams.tools.mcp.workbench import McpToolset
from aiostream_server.teams.tools.scope import ConfiguredTool, RunScope

_READ_MARGIN_S: Final = 5.0  # longer than a call, so that the call's own timeout ends it


class McpTool(ConfiguredTool):
    """A `[tools.NAME]`: one server that all runs share, or one for each run. Opened by `begin`, or by its first use."""

    def __init__(self, name: str, config: McpToolConfig) -> None:
        self._config: Final = config
        self._settings: Final = mcp_settings(name, config)
        self._shared: Final = McpServer(self._settings) if config.scope == "shared" else None
        self._notes: Sequence[str] = ()

    def begin(self) -> None:
        if self._shared is not None:
            self._shared.begin()

    def workbench(self, scope: RunScope) -> Workbench:
        if self._shared is not None:
            return self._toolset(self._shared)
        server = McpServer(self._settings)
        scope.on_close(server.close)
        return self._toolset(server)

    async def problem(self) -> str | None:
        server = self._shared or McpServer(self._settings)
        try:
            if (problem := await server.problem()) is not None:
                return f"the MCP server cannot be used: {problem}"
            toolset = self._toolset(server)
            problem = await toolset.problem()
            self._notes = toolset.notes()
            return problem
        except ToolFailed as exc:
            return str(exc)
        finally:
            if server is not self._shared:
                await server.close()

    @property
    def notes(self) -> Sequence[str]:
        return self._notes

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    def _toolset(self, server: McpServer) -> McpToolset:
        config = self._config
        return McpToolset(server, only=config.only, prefix=config.prefix, byte_limit=config.byte_limit)


def mcp_settings(name: str, config: McpToolConfig) -> McpSettings:
    secret_env = {key: value.get_secret_value() for key, value in config.secret_env.items()}
    place: Program | Service
    if config.url is not None:
        read_timeout_s = max(config.call_timeout_s, config.start_timeout_s) + _READ_MARGIN_S
        place = Service(config.url, config.transport == "sse", config.all_headers, read_timeout_s)
    else:
        place = Program(config.command or "", config.args, {**config.env, **secret_env}, config.folder)
    secrets = [value.get_secret_value() for value in config.secret_headers.values()]
    return McpSettings(
        name=name,
        place=place,
        call_timeout_s=config.call_timeout_s,
        start_timeout_s=config.start_timeout_s,
        source=f"[tools.{name}]",
        secrets=(*secret_env.values(), *secrets),
    )
