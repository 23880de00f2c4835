"""The argument of a team factory, and what a factory may return.

A factory is a function of one argument, named in the config as `factory = "package.module:function"`:

    def build(context: TeamContext) -> Team:
        helper = AssistantAgent("Helper", context.model())
        return RoundRobinGroupChat([helper], max_turns=1)

It is called once for every run, since an AutoGen team that was cancelled or failed cannot be used again. The context
holds what is expensive and shared: model clients and database pools.
"""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeGuard, TypeVar, runtime_checkable

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core.tools import FunctionTool, Workbench

from aiostream_server.config.model import TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.registry import Models
from aiostream_server.teams.autogen_private.function_tools import shared_tool
from aiostream_server.teams.tools.scope import RequestedTool, RunScope
from aiostream_server.tools.sql.database import Database

_T = TypeVar("_T")


@runtime_checkable
class Streams(Protocol):
    """An AutoGen team, an agent, or anything else that streams its messages."""

    def run_stream(self, *, task: Any) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]: ...


@runtime_checkable
class Runs(Protocol):
    """Anything that returns its messages only at the end."""

    async def run(self, *, task: Any) -> TaskResult: ...


Team: TypeAlias = Streams | Runs


def streams(team: object) -> TypeGuard[Streams]:
    """Like `isinstance(team, Streams)`, which takes ten times as long and is asked for every run."""
    return getattr(team, "run_stream", None) is not None


@dataclass(frozen=True, slots=True)
class TeamContext:
    """The parts that a team is built from. All of them but `scope` are shared with other runs and teams."""

    config: TeamConfig
    """The team's table: `id`, `name`, `roles` and the others."""
    models: Models
    """Every `[models.NAME]`; `model` returns one."""
    databases: Mapping[str, Database]
    """The team's `databases` by name, or all of the configuration if it names none; `database` returns one."""
    scope: RunScope = field(default_factory=RunScope, repr=False)
    """Resources that are open for this run."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The team's `settings` table from the config; empty if it has none."""
        return self.config.settings

    def model(self, name: str | None = None) -> StreamingClient:
        """The shared client of `[models.NAME]`; without a name, of the team's own `model`.

        An AutoGen `ChatCompletionClient`. Do not close it. Raises `ConfigError`, which lists the models.
        """
        return self.models.client(name or self.config.model)

    def database(self, name: str | None = None) -> Database:
        """`[database.NAME]`, if it is one of the team's; without a name, its only one.

        Raises `ConfigError`, which lists the team's databases.
        """
        if name is None and len(self.databases) == 1:
            return next(iter(self.databases.values()))
        if name is not None and name in self.databases:
            return self.databases[name]
        has = ", ".join(f"[database.{each}]" for each in self.databases) or "none at all"
        what = "name the database" if name is None else f"there is no database {name!r}"
        raise ConfigError([f"{what}: the team has {has}"])

    def tools(self, *requested: RequestedTool) -> list[Workbench]:
        """The `[tools.*]` of the team's `tools` with these names; without names, all of them.

            AssistantAgent("Helper", context.model(), workbench=context.tools("files", my_function))

        Functions and AutoGen's own tools may stand among the names. Raises `ConfigError`, which lists the tools.
        """
        return self.scope.workbenches(self.config.tools, requested)

    def tool(
        self, function: Callable[..., object], *, name: str | None = None, description: str | None = None
    ) -> FunctionTool:
        """A function with type hints as an AutoGen tool, described by its docstring, for an agent's `tools`.

            AssistantAgent("Helper", context.model(), tools=[context.tool(my_function)])

        The tool of a module's own function is made once, and shared by all runs.
        """
        return shared_tool(function, name, description)

    async def open(self, resource: AbstractAsyncContextManager[_T]) -> _T:
        """Enter a context manager, and exit it when the run has ended. Raises what entering it raises."""
        return await self.scope.open(resource)
