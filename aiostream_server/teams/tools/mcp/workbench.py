"""What agents see of an MCP server."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

import structlog
from autogen_core import CancellationToken
from autogen_core.tools import ParametersSchema, ToolOverride, ToolResult, ToolSchema, Workbench
from mcp import McpError
from mcp.types import CallToolResult, Tool
from pydantic import BaseModel

from aiostream_server.errors import ToolFailed
from aiostream_server.teams.tools.mcp.connection import NoAnswer, Unreachable
from aiostream_server.teams.tools.mcp.content import read
from aiostream_server.teams.tools.mcp.server import McpServer
from aiostream_server.teams.tools.results import told

_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9_-]")
_MAX_NAME_CHARS: Final = 64  # of a function that OpenAI's API takes

_log = structlog.get_logger()


class NoState(BaseModel):
    """Its configuration is the server's own file."""


class McpTools(Workbench):
    """The tools of one server, or those of them that `only` names. Bears concurrent calls."""

    component_config_schema = NoState

    def __init__(
        self,
        server: McpServer,
        *,
        only: Collection[str] = (),
        prefix: str = "",
        overrides: Mapping[str, ToolOverride] | None = None,
        byte_limit: int = 64 * 1024,
    ) -> None:
        self._server: Final = server
        self._only: Final = frozenset(only)
        self._prefix: Final = prefix
        self._overrides: Final = overrides or {}
        self._byte_limit: Final = byte_limit
        self._listed: Sequence[ToolSchema] | None = None
        self._names: dict[str, str] = {}
        self._all_names: Sequence[str] = ()

    @property
    def name(self) -> str:
        """The server's, in the configuration, or else what it is started by."""
        return self._server.name

    async def list_tools(self) -> list[ToolSchema]:
        """Raises `ToolFailed` where the server never answered; once it did, what it said last always counts.

        AutoGen asks again before each call, and waits for ever where that raises.
        """
        try:
            connection = await self._server.connection()
            tools = await connection.tools()
        except (ToolFailed, Unreachable, NoAnswer, McpError) as exc:
            if self._listed is not None:
                return list(self._listed)
            if isinstance(exc, ToolFailed):
                raise
            _log.warning("mcp_tools_not_listed", tool=self._server.name, reason=str(exc)[:200])
            raise ToolFailed(
                f'the tool "{self._server.name}" is not available: its MCP server does not say what it can do'
            ) from exc
        self._names, self._all_names = {}, [tool.name for tool in tools]
        self._listed = [self._schema(tool) for tool in tools if not self._only or tool.name in self._only]
        return list(self._listed)

    @property
    def all_names(self) -> Sequence[str]:
        """The server's own names of all its tools, once they were listed."""
        return self._all_names

    async def missing(self) -> Sequence[str]:
        """The names in `only` that the server has no tool of. Raises as `list_tools` does."""
        await self.list_tools()
        return sorted(self._only - {*self._names.values()})

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Whatever goes wrong is a result that the model sees. Raises CancelledError only."""
        calling = asyncio.ensure_future(self._call(name, arguments or {}))
        if cancellation_token is not None:
            cancellation_token.link_future(calling)
        try:
            result = await calling
        except ToolFailed as exc:
            return told(name, str(exc), self._byte_limit, is_error=True)
        except Unreachable:
            why = "the MCP server ended, or was cut off, in the middle of the call; it may or may not have been done"
            return told(name, f"{name} failed: {why}", self._byte_limit, is_error=True)
        except NoAnswer as exc:
            return told(name, f"{name} failed: {exc}", self._byte_limit, is_error=True)
        except McpError as exc:
            return told(name, f"{name} was refused: {exc.error.message}", self._byte_limit, is_error=True)
        except Exception as exc:  # what the server said does not fit the protocol
            _log.warning("mcp_answer_not_understood", tool=self._server.name, error=type(exc).__name__)
            why = "its answer cannot be understood"
            return told(name, f"{name} failed: {why}", self._byte_limit, is_error=True)
        finally:
            calling.cancel()
        return told(name, await read(result), self._byte_limit, is_error=result.isError)

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
        if self._listed is None:
            await self.list_tools()
        if (tool := self._names.get(name)) is None:
            raise ToolFailed(f"there is no tool {name!r}")
        connection = await self._server.connection()
        return await connection.call(tool, arguments)

    def _schema(self, tool: Tool) -> ToolSchema:
        override = self._overrides.get(tool.name, ToolOverride())
        wanted = override.name or f"{self._prefix}{tool.name}"
        name = _NOT_IN_A_NAME.sub("_", wanted)[:_MAX_NAME_CHARS]
        self._names[name] = tool.name
        # All of the schema: what its `$ref` point at stands in it, too.
        parameters = cast(ParametersSchema, {"type": "object", "properties": {}, **tool.inputSchema})
        description = override.description if override.description is not None else tool.description or ""
        return ToolSchema(name=name, description=description, parameters=parameters)

    async def start(self) -> None:
        """Whoever made the server opens and closes it."""

    async def stop(self) -> None:
        """Likewise."""

    async def reset(self) -> None:
        """Keeps nothing."""

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Keeps nothing."""
