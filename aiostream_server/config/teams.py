"""`[[teams]]`, `[[team_folders]]` and `[components]`: which teams are served, and what they are made of."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field, Strict, ValidationInfo, field_validator, model_validator

from aiostream_server.config.choices import OnDisconnect, Presentation, Restart, SpeechRole
from aiostream_server.config.pointers import (
    DatabaseName,
    FilePath,
    ModelName,
    ToolName,
    check_name,
    check_unique_team,
)
from aiostream_server.config.table import ConfigTable, Factory, Strings, TeamId

RESERVED_IDS: Final = ("auto", "autogen-agents")
BUILT_IN_TEAM_IDS: Final = ("general", "data")
"""The teams that are served if the file has no `[[teams]]`."""

_KINDS: Final[Mapping[str, Mapping[str, object]]] = {
    "assistant": {
        "factory": "aiostream_server.teams.assistant:build",
        "presentation": "answer",
        "client_tools": True,
    }
}
"""What stands for the keys that a team of a kind leaves out."""

KnownDatabases = Annotated[tuple[DatabaseName, ...], Strict(False)]
KnownTools = Annotated[tuple[ToolName, ...], Strict(False)]


class TeamConfig(ConfigTable):
    """`[[teams]]`: one model that clients see."""

    id: TeamId
    name: str = ""
    description: str = ""
    examples: Strings = ()
    kind: Literal["assistant"] | None = Field(
        default=None, description="instead of a factory: one agent, a plain model"
    )
    factory: Factory | None = None
    component: FilePath | None = Field(default=None, validate_default=True)
    model: str = Field(default="default", validate_default=True, description="the [models.*] table that its agents use")
    roles: dict[str, SpeechRole] = Field(default_factory=dict)
    answer_from: Strings = ()
    presentation: Presentation = "transcript"
    on_disconnect: OnDisconnect | None = None
    restart: Restart = Field(default="never", description="what becomes of a run when its process fails")
    databases: KnownDatabases = ()
    tools: KnownTools = Field(default=(), description="the [tools.*] tables that its agents use")
    system_message: str = Field(default="", description="of a team of a kind")
    client_tools: bool = Field(default=False, description="its agents may call tools of the client")
    output_tools: bool = Field(default=False, description="a request may force a call of its tools: the answer as JSON")
    trusted: bool = Field(default=False, description="code that stands in the component may run")
    settings: dict[str, Any] = Field(default_factory=dict, repr=False, description="given to the factory as it is")

    @property
    def takes_forced_calls(self) -> bool:
        """Whether a request's `tool_choice` may force a call of one of the client's tools."""
        return self.client_tools or self.output_tools

    @model_validator(mode="before")
    @classmethod
    def _with_keys_of_kind(cls, table: Any) -> Any:
        kind = table.get("kind") if isinstance(table, dict) else None
        return {**_KINDS[kind], **table} if isinstance(kind, str) and kind in _KINDS else table

    @field_validator("id")
    @classmethod
    def _free_id(cls, team: str, info: ValidationInfo) -> str:
        if team in RESERVED_IDS:
            raise ValueError(f'"{team}" is the server\'s own model id')
        check_unique_team(team, info)
        return team

    @field_validator("factory")
    @classmethod
    def _of_kind(cls, factory: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind is not None and factory != _KINDS[kind]["factory"]:
            raise ValueError(f'kind = "{kind}" has a factory of its own: leave one of them out')
        return factory

    @field_validator("component")
    @classmethod
    def _one_source(cls, component: Path | None, info: ValidationInfo) -> Path | None:
        if "factory" in info.data and (info.data["factory"] is None) == (component is None):
            raise ValueError('expected one of factory = "module:function", component = "file.json", kind = "assistant"')
        return component

    @field_validator("system_message")
    @classmethod
    def _for_kinds(cls, message: str, info: ValidationInfo) -> str:
        if message and info.data.get("kind") is None:
            raise ValueError('is for teams of kind = "assistant": a factory or component has its own')
        return message

    @field_validator("tools")
    @classmethod
    def _for_factories(cls, tools: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if tools and info.data.get("component") is not None:
            raise ValueError("a component brings its own tools: these are for teams with a factory")
        return tools

    @field_validator("model")
    @classmethod
    def _known_model(cls, model: str, info: ValidationInfo) -> str:
        needs_one = model != "default" or info.data.get("component") is None  # a component brings its own model
        return check_name("models", model, info) if needs_one else model


class TeamFolderConfig(ConfigTable):
    """`[[team_folders]]`: every Python file in it makes one team or several. The keys apply to all of them."""

    path: FilePath
    model: ModelName = Field(
        default="default", validate_default=True, description="the [models.*] table that its agents use"
    )
    databases: KnownDatabases = ()
    tools: KnownTools = Field(default=(), description="the [tools.*] tables that their agents use")
    settings: dict[str, Any] = Field(default_factory=dict, repr=False, description="given to each factory as it is")


class ComponentsConfig(ConfigTable):
    """`[components]`: what component JSON may import, beside AutoGen's packages and this one, and which hosts that are
    not public its HTTP tools may ask."""

    providers: Strings = ()
    hosts: Strings = ()
