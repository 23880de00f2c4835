"""What a team factory is given, and what it may return.

A factory is a function of one argument, named in the config as `factory = "package.module:function"`:

    def build(context: TeamContext) -> Team:
        helper = AssistantAgent("Helper", context.model())
        return RoundRobinGroupChat([helper], max_turns=1)

It is called once for every run, since an AutoGen team that was cancelled or failed cannot be used again; what is
expensive (model clients, database pools) is in the context and shared.
"""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage

from aiostream_server.config.model import TeamConfig
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.registry import Models
from aiostream_server.tools.sql.database import Database


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
    """The parts that a team is built from."""

    config: TeamConfig
    models: Models
    databases: Mapping[str, Database]

    @property
    def settings(self) -> Mapping[str, Any]:
        """The team's own `settings` table from the config."""
        return self.config.settings

    def model(self, name: str | None = None) -> StreamingClient:
        """The shared client of `[models.NAME]`; without a name, of the team's own `model`."""
        return self.models.client(name or self.config.model)
