"""Tools without state of their own: Python functions, LangChain tools, and queries of a configured database."""

import functools
import inspect
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final

from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, ToolOverride, ToolSchema, Workbench

from aiostream_server.config.model import LangChainToolConfig, PythonToolConfig, SqlToolConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.errors import ConfigError
from aiostream_server.models.tool_schemas import schema_notes
from aiostream_server.present.blocks import ROWS_AS_FILE
from aiostream_server.teams.autogen_private.structure import await_in_loop
from aiostream_server.teams.factories import imported, reason
from aiostream_server.teams.query_results import query_result
from aiostream_server.teams.tools.scope import ConfiguredTool, RunScope
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.schema_choice.asked_so_far import AskedSoFar, current_questions
from aiostream_server.tools.sql.schema_choice.chooser import MORE_TABLES, WANTED


class FixedTool(ConfiguredTool):
    """A `[tools.NAME]` without state: all runs share one workbench."""

    def __init__(self, *tools: BaseTool[Any, Any], name: str | None = None, workbench: Workbench | None = None) -> None:
        """`name` renames a single tool. `workbench` has the tools, where it is another than AutoGen's."""
        self._tools: Final = tools
        overrides = {tools[0].name: ToolOverride(name=name)} if name is not None else None
        self._workbench: Final = workbench or StaticWorkbench(list(tools), overrides)

    def workbench(self, scope: RunScope) -> Workbench:
        return self._workbench

    @property
    def notes(self) -> Sequence[str]:
        return [note for tool in self._tools for note in schema_notes(tool.schema)]


def python_tool(name: str, config: PythonToolConfig) -> FixedTool:
    """Raises `ConfigError` for a factory that cannot be imported, or is not a function with type hints."""
    function = imported(config.factory)
    if not callable(function) or isinstance(function, type):
        raise ConfigError([f'factory: "{config.factory}" is {_kind(function)}: expected a function'])
    description = inspect.getdoc(function.func if isinstance(function, functools.partial) else function)
    if not description:
        raise ConfigError([f'factory: "{config.factory}" has no docstring: models would not know what it does'])
    try:
        return FixedTool(FunctionTool(function, name=name, description=description))
    except Exception as exc:  # pydantic raises for an unusable type hint, AutoGen for a missing one
        raise ConfigError([f'factory: "{config.factory}" makes no tool: {reason(exc)}']) from exc


def langchain_tool(name: str, config: LangChainToolConfig) -> FixedTool:
    """Raises `ConfigError` for a factory that cannot be imported, or neither is nor makes a LangChain tool."""
    try:
        from autogen_ext.tools.langchain import LangChainToolAdapter
        from langchain_core.tools import BaseTool as LangChainTool
    except ImportError:
        raise ConfigError([f'kind = "langchain" needs: {install_hint("langchain")}']) from None
    made = imported(config.factory)
    try:
        tool = made if isinstance(made, LangChainTool) or not callable(made) else made()
    except Exception as exc:  # a user's code raises any error
        raise ConfigError([f'factory: "{config.factory}" raised {reason(exc)}']) from exc
    if not isinstance(tool, LangChainTool):
        raise ConfigError([f'factory: "{config.factory}" gives {_kind(tool)}: expected a LangChain tool'])
    try:
        adapter = LangChainToolAdapter(tool)
    except Exception as exc:  # for example, a schema that is not a pydantic model
        raise ConfigError([f'factory: "{config.factory}" cannot be adapted: {reason(exc)}']) from exc
    if (coroutine := getattr(tool, "coroutine", None)) is not None:
        await_in_loop(adapter, coroutine)
    return FixedTool(adapter, name=name)


class _SqlTools(StaticWorkbench):
    """Leaves out the last tool, which shows more tables, while the whole schema fits into the prompt."""

    def __init__(self, database: Database, tools: list[BaseTool[Any, Any]]) -> None:
        super().__init__(tools)
        self._database: Final = database

    async def list_tools(self) -> list[ToolSchema]:
        tools = await super().list_tools()
        return tools if self._database.is_large else tools[:-1]


def sql_tool(name: str, config: SqlToolConfig, databases: Mapping[str, Database]) -> FixedTool:
    """The tools `NAME_schema` and `NAME_query`, and `NAME_tables` where the schema is large.

    Raises `ConfigError` where it must name a database and does not.
    """
    chosen = config.database or (next(iter(databases)) if len(databases) == 1 else None)
    if chosen is None or chosen not in databases:
        raise ConfigError([f"database: it must be one of {', '.join(databases)}"])
    database = databases[chosen]
    more = f"{name}_tables"

    async def schema() -> str:
        return await database.describe(AskedSoFar(current_questions.get()), more)

    async def query(sql: Annotated[str, "One SELECT statement."]) -> str:
        rows, file = await query_result(database, sql)
        note = "" if file is None else ROWS_AS_FILE
        return "\n\n".join(part for part in (rows.to_markdown(), rows.ending, note) if part)

    async def tables(wanted: Annotated[list[str], WANTED]) -> str:
        return await database.find_tables(wanted, more)

    about = f": {database.description}" if database.description else ""
    tools = [
        FunctionTool(
            schema, name=f"{name}_schema", description=f"Read the tables, columns and keys of the database{about}"
        ),
        FunctionTool(
            query,
            name=f"{name}_query",
            description=f"Run one read-only SELECT, written for its schema, on the database{about}",
        ),
        FunctionTool(tables, name=more, description=f"{MORE_TABLES}{about}"),
    ]
    return FixedTool(*tools, workbench=_SqlTools(database, [*tools]))


def _kind(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"a {type(thing).__name__}"
