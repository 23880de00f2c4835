"""Tools that Python makes: typed functions, and LangChain's. Imported when the configuration is loaded, not before."""

import functools
import importlib
import inspect
from typing import TYPE_CHECKING, Any, Final

from autogen_core.tools import BaseTool, FunctionTool, StaticWorkbench, ToolOverride, Workbench

from aiostream_server.config.model import LangChainToolConfig, PythonToolConfig
from aiostream_server.config.problem_text import install_hint
from aiostream_server.errors import ConfigError
from aiostream_server.teams.autogen_private.workbenches import await_in_loop

if TYPE_CHECKING:
    from aiostream_server.teams.tools.scope import RunScope


class FixedTool:
    """Tools that keep nothing: the same for all runs."""

    def __init__(self, *tools: BaseTool[Any, Any], name: str | None = None) -> None:
        """`name` is what a single tool is called, where its own name is another."""
        overrides = {tools[0].name: ToolOverride(name=name)} if name is not None else None
        self._workbench: Final = StaticWorkbench(list(tools), overrides)

    def workbench(self, scope: "RunScope") -> Workbench:
        return self._workbench

    def begin(self) -> None:
        """Nothing is to be opened."""

    async def problem(self) -> str | None:
        return None

    async def close(self) -> None:
        """Nothing is open."""


def python_tool(name: str, config: PythonToolConfig) -> FixedTool:
    """Raises `ConfigError` for what cannot be imported, or is no function with type hints."""
    function = _imported(config.factory)
    if not callable(function) or isinstance(function, type):
        raise ConfigError([f'factory: "{config.factory}" is {_kind(function)}: expected a function'])
    description = inspect.getdoc(function.func if isinstance(function, functools.partial) else function)
    if not description:
        raise ConfigError([f'factory: "{config.factory}" has no docstring: models would not know what it does'])
    try:
        return FixedTool(FunctionTool(function, name=name, description=description))
    except Exception as exc:  # pydantic's, for a hint that it cannot use; AutoGen's own for a missing one
        raise ConfigError([f'factory: "{config.factory}" makes no tool: {_reason(exc)}']) from exc


def langchain_tool(name: str, config: LangChainToolConfig) -> FixedTool:
    """Raises `ConfigError` for what cannot be imported, or is no LangChain tool and makes none."""
    try:
        from autogen_ext.tools.langchain import LangChainToolAdapter
        from langchain_core.tools import BaseTool as LangChainTool
    except ImportError:
        raise ConfigError([f'kind = "langchain" needs: {install_hint("langchain")}']) from None
    made = _imported(config.factory)
    try:
        tool = made if isinstance(made, LangChainTool) or not callable(made) else made()
    except Exception as exc:  # whatever somebody's code raises
        raise ConfigError([f'factory: "{config.factory}" raised {_reason(exc)}']) from exc
    if not isinstance(tool, LangChainTool):
        raise ConfigError([f'factory: "{config.factory}" gives {_kind(tool)}: expected a LangChain tool'])
    try:
        adapter = LangChainToolAdapter(tool)
    except Exception as exc:  # a schema that is no pydantic model, say
        raise ConfigError([f'factory: "{config.factory}" cannot be adapted: {_reason(exc)}']) from exc
    if (coroutine := getattr(tool, "coroutine", None)) is not None:
        await_in_loop(adapter, coroutine)
    return FixedTool(adapter, name=name)


def _imported(path: str) -> Any:  # whatever stands there
    module_name, _, attribute = path.partition(":")
    try:
        return functools.reduce(getattr, attribute.split("."), importlib.import_module(module_name))
    except Exception as exc:  # importing runs whatever stands in the module
        raise ConfigError([f'factory: "{path}" cannot be imported: {_reason(exc)}']) from exc


def _kind(thing: object) -> str:
    return f"the class {thing.__name__}" if isinstance(thing, type) else f"a {type(thing).__name__}"


def _reason(exc: Exception) -> str:
    """One line."""
    return f"{type(exc).__name__}: {' '.join(str(exc).split())[:300]}"
