"""The tools of one configuration: opened with it, closed after the last run that began with it.

A tool that cannot be opened stops nothing but the teams that use it, and those only while it is broken.
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
from aiostream_server.config.problem_text import did_you_mean, install_hint, toml_key
from aiostream_server.errors import ConfigError
from aiostream_server.teams.tools.scope import RunScope, Tool
from aiostream_server.tools.sql.database import Database


class Toolbox:
    """By name. An empty one serves teams that have no tools."""

    def __init__(self, tools: Mapping[str, Tool] | None = None) -> None:
        self._tools: Final = dict(tools or {})
        self._closing: Final[set[asyncio.Task[None]]] = set()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._tools)

    def check(self, names: Iterable[str]) -> None:
        """Raises `ConfigError` for a name that no tool has."""
        for name in names:
            if name not in self._tools:
                raise ConfigError([f"tools: there is no [tools.{toml_key(name)}]{did_you_mean(name, self.names)}"])

    def scope(self) -> RunScope:
        """For one run."""
        return RunScope(self._tools)

    def release(self, scope: RunScope) -> None:
        """Close what a run had open. Returns at once: who waits for the run need not wait for that."""
        if scope.end_at_once():
            return
        closing = asyncio.create_task(scope.close(), name="tools-closing", context=Context())
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def problems(self) -> list[str]:
        """One line for each tool that cannot be used now."""
        found = await asyncio.gather(*(tool.problem() for tool in self._tools.values()))
        return [f"[tools.{name}] {problem}" for name, problem in zip(self._tools, found, strict=True) if problem]

    async def close(self) -> None:
        """All of it, those that runs had open included."""
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
    """Every `[tools.NAME]`. `is_serving`: shared servers are started now. `in_threads`: imports are done aside.

    Raises `ConfigError` with each that is wrong in itself. What is only out of reach, such as a server that is down, is
    no reason: see `Toolbox.problems`. Where `problems` is given, they are added to that, and the others are opened.
    """
    tools: dict[str, Tool] = {}
    wrong: list[str] = []
    for name, table in config.tools.items():
        try:
            opened = (name, table, databases, state_directory)
            tools[name] = await asyncio.to_thread(_made, *opened) if in_threads else _made(*opened)
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


def _made(name: str, config: ToolConfig, databases: Mapping[str, Database], state_directory: Path) -> Tool:
    """What a configuration does not use is not imported."""
    match config:
        case McpToolConfig():
            try:
                from aiostream_server.teams.tools.mcp.tool import McpTool
            except ImportError:
                raise ConfigError([f'kind = "mcp" needs: {install_hint("mcp")}']) from None
            return McpTool(name, config)
        case HttpToolConfig():
            try:
                from aiostream_server.teams.tools.http import http_tool
            except ImportError:
                raise ConfigError([f'kind = "http" needs: {install_hint("http")}']) from None
            return http_tool(name, config)
        case CodeToolConfig():
            from aiostream_server.teams.tools.code import CodeTool

            return CodeTool(name, config, state_directory)
        case PythonToolConfig():
            from aiostream_server.teams.tools.functions import python_tool

            return python_tool(name, config)
        case LangChainToolConfig():
            from aiostream_server.teams.tools.functions import langchain_tool

            return langchain_tool(name, config)
        case SqlToolConfig():
            from aiostream_server.teams.tools.sql import sql_tool

            return sql_tool(name, config, databases)
        case ChartToolConfig():
            from aiostream_server.teams.charts import chart_tool
            from aiostream_server.teams.tools.functions import FixedTool

            return FixedTool(chart_tool(config.format), name=name)
