"""The tools of an MCP server as an AutoGen workbench; results become text."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

import structlog
from autogen_core import CancellationToken
from autogen_core.tools import ParametersSchema, TextResultContent, ToolOverride, ToolResult, ToolSchema
from mcp import McpError
from mcp.types import CallToolResult, Tool

from aiostream_server.errors import ToolFailed
from aiostream_server.models.tool_names import valid_names
from aiostream_server.models.tool_schemas import schema_notes
from aiostream_server.teams.stateless_workbench import StatelessWorkbench
from aiostream_server.teams.tools.mcp.connection import NoAnswer, Unreachable
from aiostream_server.teams.tools.mcp.result_text import as_text
from aiostream_server.teams.tools.mcp.server import McpServer
from aiostream_server.teams.tools.scope import limited

_log = structlog.get_logger()


class McpToolset(StatelessWorkbench):
    """The tools of one server, or those that `only` names. Supports concurrent calls. The server's owner opens it."""

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

    @property
    def name(self) -> str:
        """The server's name in the configuration, or its program or host."""
        return self._server.name

    async def list_tools(self) -> list[ToolSchema]:
        """Raises `ToolFailed` until the server has answered once; after that, returns its last answer where it fails.

        AutoGen lists the tools before each call: where this raises, the run ends.
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
        found = {self._wanted(tool): tool for tool in tools if not self._only or tool.name in self._only}
        valid = valid_names(found)
        self._names = {valid[wanted]: tool.name for wanted, tool in found.items()}
        self._listed = [self._schema(tool, valid[wanted]) for wanted, tool in found.items()]
        return list(self._listed)

    async def problem(self) -> str | None:
        """Says which name in `only` no tool of the server has. Raises what `list_tools` raises."""
        await self.list_tools()
        if not (missing := sorted(self._only - {*self._names.values()})):
            return None
        names = [tool.name for tool in await (await self._server.connection()).tools()]
        return f"only: the MCP server has no tool {missing[0]!r}; it has {', '.join(names)}"

    def notes(self) -> list[str]:
        """What `check` says of the tools that were listed: other names, and schemas that a provider may refuse."""
        names = [
            f"the tool {own!r} is offered as {name}"
            for name, own in self._names.items()
            if name not in (own, f"{self._prefix}{own}") and own not in self._overrides
        ]
        return names + [note for tool in self._listed or () for note in schema_notes(tool)]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        """Errors become results that the model sees. Raises only CancelledError."""
        calling = asyncio.ensure_future(self._call(name, arguments or {}))
        if cancellation_token is not None:
            cancellation_token.link_future(calling)
        try:
            result = await calling
        except Exception as exc:
            text, is_error = self._failure(name, exc), True  # the model sees it and may do something else
        else:
            text, is_error = await as_text(result), result.isError
        finally:
            calling.cancel()
        content = TextResultContent(content=limited(text, self._byte_limit))
        return ToolResult(name=name, result=[content], is_error=is_error)

    def _failure(self, name: str, exc: Exception) -> str:
        match exc:
            case ToolFailed():
                return str(exc)
            case Unreachable():
                why = "ended, or was cut off, in the middle of the call; it may or may not have been done"
                return f"{name} failed: the MCP server {why}"
            case NoAnswer():
                return f"{name} failed: {exc}"
            case McpError():
                return f"{name} was refused: {exc.error.message}"
            case _:  # the server's answer violates the protocol
                _log.warning("mcp_answer_not_understood", tool=self._server.name, error=type(exc).__name__)
                return f"{name} failed: its answer cannot be understood"

    async def _call(self, name: str, arguments: Mapping[str, Any]) -> CallToolResult:
        if self._listed is None:
            await self.list_tools()
        if (tool := self._names.get(name)) is None:
            raise ToolFailed(f"there is no tool {name!r}")
        connection = await self._server.connection()
        return await connection.call(tool, arguments)

    def _wanted(self, tool: Tool) -> str:
        """The tool's name before it is made valid."""
        override = self._overrides.get(tool.name, ToolOverride())
        return override.name or f"{self._prefix}{tool.name}"

    def _schema(self, tool: Tool, name: str) -> ToolSchema:
        override = self._overrides.get(tool.name, ToolOverride())
        # The whole schema, because it contains the definitions that its `$ref`s refer to.
        parameters = cast(ParametersSchema, {"type": "object", "properties": {}, **tool.inputSchema})
        description = override.description if override.description is not None else tool.description or ""
        return ToolSchema(name=name, description=description, parameters=parameters)
