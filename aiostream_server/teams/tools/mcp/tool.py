"""`[tools.NAME]` of kind "mcp": one server for all runs, or one for each."""

from typing import TYPE_CHECKING, Final

from autogen_core.tools import Workbench

from aiostream_server.config.model import McpToolConfig
from aiostream_server.errors import ToolFailed
from aiostream_server.teams.tools.mcp.connection import Terms
from aiostream_server.teams.tools.mcp.server import McpServer
from aiostream_server.teams.tools.mcp.transport import Program, Service
from aiostream_server.teams.tools.mcp.workbench import McpTools

if TYPE_CHECKING:
    from aiostream_server.teams.tools.scope import RunScope

_READS_LONGER_S: Final = 5.0  # than a call may take: that is what ends it


class McpTool:
    """Opens nothing before it is asked to."""

    def __init__(self, name: str, config: McpToolConfig) -> None:
        self._config: Final = config
        self._terms: Final = terms(name, config)
        self._shared: Final = McpServer(self._terms) if config.scope == "shared" else None

    def begin(self) -> None:
        if self._shared is not None:
            self._shared.begin()

    def workbench(self, scope: "RunScope") -> Workbench:
        if self._shared is not None:
            return self._offered(self._shared)
        server = McpServer(self._terms)
        scope.on_close(server.close)
        return self._offered(server)

    async def problem(self) -> str | None:
        server = self._shared or McpServer(self._terms)
        try:
            if (problem := await server.problem()) is not None:
                return f"the MCP server cannot be used: {problem}"
            missing = await (offered := self._offered(server)).missing()
            if missing:
                return f"only: the MCP server has no tool {missing[0]!r}; it has {', '.join(offered.all_names)}"
        except ToolFailed as exc:
            return str(exc)
        finally:
            if server is not self._shared:
                await server.close()
        return None

    async def close(self) -> None:
        if self._shared is not None:
            await self._shared.close()

    def _offered(self, server: McpServer) -> McpTools:
        config = self._config
        return McpTools(server, only=config.only, prefix=config.prefix, byte_limit=config.byte_limit)


def terms(name: str, config: McpToolConfig) -> Terms:
    secret_env = {key: value.get_secret_value() for key, value in config.secret_env.items()}
    place: Program | Service
    if config.url is not None:
        read_timeout_s = max(config.call_timeout_s, config.start_timeout_s) + _READS_LONGER_S
        place = Service(config.url, config.transport == "sse", config.all_headers, read_timeout_s)
    else:
        place = Program(config.command or "", config.args, {**config.env, **secret_env}, config.folder)
    secrets = [value.get_secret_value() for value in config.secret_headers.values()]
    return Terms(
        name=name,
        place=place,
        call_timeout_s=config.call_timeout_s,
        start_timeout_s=config.start_timeout_s,
        settings=f"[tools.{name}]",
        secrets=(*secret_env.values(), *secrets),
    )
