"""The tools of one configuration: opened with it, and closed after the last run that started with it.

A tool that cannot be opened affects only the teams that use it, and only while it is broken.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Final

from aiostream_server.config.model import (
    ChartToolConfig,
    CodeToolConfig,
    Config,
    HttpToolConfig,
    LangChainToolConfig,
    McpToolConfig,
    PythonToolConfig,
    SqlToolConfig,
    ToolConfig,
)
from aiostream_server.config.problem_text import did_you_mean, install_hint, mcp_version_problem, toml_key
from aiostream_server.errors import ConfigError
from aiostream_server.teams.tools.scope import ConfiguredTool, RunScope
from aiostream_server.tools.sql.database import Database


class Toolbox:
    """The configured tools by name. An empty toolbox serves teams without tools."""

    def __init__(self, tools: Mapping[str, ConfiguredTool] | None = None) -> None:
        self._tools: Final = dict(tools or {})
        self._closing: Final[set[asyncio.Task[None]]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def check(self, names: Iterable[str]) -> None:
        """Raises `ConfigError` for a name that is not configured."""
        for name in names:
            if name not in self._tools:
                raise ConfigError([f"tools: there is no [tools.{toml_key(name)}]{did_you_mean(name, self.names)}"])

    def scope(self) -> RunScope:
        """A scope for one run."""
        return RunScope(self._tools)

    def release(self, scope: RunScope) -> None:
        """Close what a run has open, in the background, so that the end of the run does not wait for it."""
        if scope.end_at_once():
            return
        closing = asyncio.create_task(scope.close(), name="tools-closing", context=Context())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def problems(self) -> list[str]:
        """One line for each tool that cannot be used now."""
        found = await asyncio.gather(*(tool.problem() for tool in self._tools.values()))
        return [f"[tools.{name}] {problem}" for name, problem in zip(self._tools, found, strict=True) if problem]

    @property
    def notes(self) -> list[str]:
        """One line for each thing about a usable tool that an operator should know, after `problems`."""
        return [f"[tools.{name}] {note}" for name, tool in self._tools.items() for note in tool.notes]

    async def close(self) -> None:
        """Close all tools, after the resources of runs that are being closed."""
        if self._closing:
            await asyncio.wait(self._closing)
        await asyncio.gather(*(tool.close() for tool in self._tools.values()))


@asynccontextmanager
async def open_tools(
    config: Config,
    databases: Mapping[str, Database],
    state_directory: Path,
    *,
    is_serving: bool = False,
    in_threads: bool = False,
    problems: list[str] | None = None,
) -> AsyncIterator[Toolbox]:
    """Open every `[tools.NAME]`. `is_serving` starts shared servers now; `in_threads` imports in threads.

    Raises `ConfigError` with all tools that are configured wrongly; with `problems`, appends these errors to it
    instead, and opens the other tools. A server that is down raises nothing here: see `Toolbox.problems`.
    """
    tools: dict[str, ConfiguredTool] = {}
    wrong: list[str] = []
    for name, table in config.tools.items():
        try:
            opened = (name, table, databases, state_directory)
            tools[name] = await asyncio.to_thread(_make_tool, *opened) if in_threads else _make_tool(*opened)
        except ConfigError as exc:
            wrong += [f"[tools.{name}] {problem}" for problem in exc.problems]
    toolbox = Toolbox(tools)
    try:
        if wrong and problems is None:
            raise ConfigError(wrong)
        if problems is not None:
            problems += wrong
        for tool in tools.values() if is_serving else ():
            tool.begin()
        yield toolbox
    finally:
        await toolbox.close()


def _mcp_tool(name: str, config: McpToolConfig) -> ConfiguredTool:
    if (problem := mcp_version_problem()) is not None:
        raise ConfigError([problem])
    try:
        from aiostream_server.teams.tools.mcp.tool import McpTool
    except ImportError:
        raise ConfigError([f'kind = "mcp" needs: {install_hint("mcp")}']) from None
    return McpTool(name, config)


def _make_tool(
    name: str, config: ToolConfig, databases: Mapping[str, Database], state_directory: Path
) -> ConfiguredTool:
    """Imports only the kinds of tools that are configured, because some of them need optional packages."""
    match config:
        case McpToolConfig():
            return _mcp_tool(name, config)
        case HttpToolConfig():
            try:
                from aiostream_server.teams.tools.http import HttpService
            except ImportError:
                raise ConfigError([f'kind = "http" needs: {install_hint("http")}']) from None
            return HttpService(name, config)
        case CodeToolConfig():
            from aiostream_server.teams.tools.code import CodeTool

            return CodeTool(name, config, state_directory)
        case PythonToolConfig():
            from aiostream_server.teams.tools.fixed_tools import python_tool

            return python_tool(name, config)
        case LangChainToolConfig():
            from aiostream_server.teams.tools.fixed_tools import langchain_tool

            return langchain_tool(name, config)
        case SqlToolConfig():
            from aiostream_server.teams.tools.fixed_tools import sql_tool

            return sql_tool(name, config, databases)
        case ChartToolConfig():
            from aiostream_server.teams.charts import chart_tool
            from aiostream_server.teams.tools.fixed_tools import FixedTool

            return FixedTool(chart_tool(config.format), name=name)
