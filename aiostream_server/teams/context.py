"""What a team factory is given, and what it may return.

A factory is a function of one argument, named in the config as `factory = "package.module:function"`:

    def build(context: TeamContext) -> Team:
        helper = AssistantAgent("Helper", context.model())
        return RoundRobinGroupChat([helper], max_turns=1)

It is called once for every run, since an AutoGen team that was cancelled or failed cannot be used again; what is
expensive (model clients, database pools) is in the context and shared.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias, TypeVar, runtime_checkable

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core.tools import Workbench

from aiostream_server.config.model import TeamConfig
from aiostream_server.errors import ConfigError
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.registry import Models
from aiostream_server.teams.tools.scope import RequestedTool, RunScope
from aiostream_server.tools.sql.database import Database

_T = TypeVar("_T")


@runtime_checkable
class Streams(Protocol):
    """An AutoGen team, an agent, or anything else that tells what it does while it does it."""

    def run_stream(self, *, task: Any) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]: ...


@runtime_checkable
class Runs(Protocol):
    """Something that only answers when it is done."""

    async def run(self, *, task: Any) -> TaskResult: ...


Team: TypeAlias = Streams | Runs


@dataclass(frozen=True, slots=True)
class TeamContext:
    """The parts that a team is built from. All but what is opened for one run is shared with other runs and teams."""

    config: TeamConfig
    """The team's whole table: `id`, `name`, `roles` and the others."""
    models: Models
    """Every `[models.NAME]`; `model` takes one out."""
    databases: Mapping[str, Database]
    """The team's `databases` by their names, all of the configuration where it names none; `database` takes one out."""
    scope: RunScope = field(default_factory=RunScope, repr=False)
    """What is open for this run."""

    @property
    def settings(self) -> Mapping[str, Any]:
        """The team's own `settings` table from the config, as it is; empty where there is none."""
        return self.config.settings

    def model(self, name: str | None = None) -> StreamingClient:
        """The shared client of `[models.NAME]`; without a name, of the team's own `model`.

        An AutoGen `ChatCompletionClient`, not to be closed. Raises `ConfigError`, which names the models there are.
        """
        return self.models.client(name or self.config.model)

    def database(self, name: str | None = None) -> Database:
        """`[database.NAME]`, if it is one of the team's; without a name, the only one that it has.

        Raises `ConfigError`, which names those that it has.
        """
        if name is None and len(self.databases) == 1:
            return next(iter(self.databases.values()))
        if name is not None and name in self.databases:
            return self.databases[name]
        has = ", ".join(f"[database.{each}]" for each in self.databases) or "none at all"
        what = "name the database" if name is None else f"there is no database {name!r}"
        raise ConfigError([f"{what}: the team has {has}"])

    def tools(self, *requested: RequestedTool) -> list[Workbench]:
        """Of the `[tools.*]` that the team's `tools` name, those that are wanted; without a name, all of them.

            AssistantAgent("Helper", context.model(), workbench=context.tools("files", my_function))

        Functions and AutoGen's own tools may stand among the names. Raises `ConfigError`, which says what there is.
        """
        return self.scope.workbenches(self.config.tools, requested)

    async def open(self, resource: AbstractAsyncContextManager[_T]) -> _T:
        """Enter it for this run; it is left when the run has ended, however it did. Raises what entering it raises."""
        return await self.scope.open(resource)
