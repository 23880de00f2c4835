"""The tools of an MCP server as an AutoGen workbench; results become text. `McpTool` is the kind "mcp" of tools.

AutoGen passes only text to models, and would write an image as base64. An image is kept as a file of the run instead,
and named by a link, where the run can keep files.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, cast

import structlog
from autogen_core import CancellationToken
from autogen_core.tools import ParametersSchema, TextResultContent, ToolOverride, ToolResult, ToolSchema, Workbench
from mcp import McpError
from mcp.types import (
    AudioContent,
    CallToolResult,
    ContentBlock,
    EmbeddedResource,
    ImageContent,
    ResourceLink,
    TextContent,
    TextResourceContents,
    Tool,
)
from pydantic import BaseModel

from aiostream_server.config.model import McpToolConfig
from aiostream_server.errors import ToolFailed
from aiostream_server.models.tool_names import valid_names
from aiostream_server.models.tool_schemas import schema_notes
from aiostream_server.store.run_files import FileRefused, current_files
from aiostream_server.teams.tools.mcp.connection import McpSettings, NoAnswer, Unreachable
from aiostream_server.teams.tools.mcp.server import McpServer
from aiostream_server.teams.tools.mcp.transport import Program, Service
from aiostream_server.teams.tools.scope import ConfiguredTool, RunScope, limited

_READ_MARGIN_S: Final = 5.0  # longer than a call, so that the call's own timeout ends it

_log = structlog.get_logger()


class McpToolset(Workbench):
    """The tools of one server, or those that `only` names. Supports concurrent calls."""

    component_config_schema = BaseModel  # without fields: it is never written to component JSON

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
            text, is_error = await _as_text(result), result.isError
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

    async def start(self) -> None:
        """The owner of the server opens it."""

    async def stop(self) -> None:
        """The owner of the server closes it."""

    async def reset(self) -> None:
        """Has no state."""

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Has no state."""


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


async def _as_text(result: CallToolResult) -> str:
    """The parts one after the other; where there are none, the structured content as JSON."""
    parts = [await _part(content) for content in result.content]
    if not parts and result.structuredContent is not None:
        parts = [json.dumps(result.structuredContent, ensure_ascii=False)]
    return "\n".join(parts)


async def _part(content: ContentBlock) -> str:
    match content:
        case TextContent():
            return content.text
        case EmbeddedResource(resource=TextResourceContents() as resource):
            return resource.text
        case EmbeddedResource():
            return f"[{content.resource.mimeType or 'data'}: {content.resource.uri}]"
        case ResourceLink():
            return f"[{content.name}: {content.uri}]"
        case ImageContent():
            return await _picture(content)
        case AudioContent():
            return _note(content)


async def _picture(image: ImageContent) -> str:
    files = current_files.get()
    if files is None:
        return _note(image)
    try:
        content = base64.b64decode(image.data, validate=True)
        file = await files.add(content, image.mimeType, "Picture", in_answer=True)
    except (binascii.Error, FileRefused):
        return _note(image)
    return f"To show the picture, put this line into your answer as it is:\n\n{file.markdown}"


def _note(content: ImageContent | AudioContent) -> str:
    return f"[{content.mimeType}, {len(content.data) * 3 // 4} bytes, which cannot be shown]"
