"""The configuration, as a frozen model: `configs/server.toml` is the commented example of all of it.

Durations are in seconds and sizes in bytes; the unit is in the key's name. Unknown keys are errors, and so are values
of another type. Secrets are named in the file (`..._env`, `..._file`) and read once, by `config.load`; `repr` never
shows one.

Most checks concern one key: pydantic runs these even if other keys of the table are wrong, so that one load names every
mistake.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, Strict, ValidationInfo, field_validator, model_validator

from aiostream_server.config.chat import AuxiliaryConfig, OpenWebUIConfig, RoutingConfig
from aiostream_server.config.choices import OnDisconnect, Presentation, SpeechRole
from aiostream_server.config.databases import ConcurrentTurns, ConversationsConfig, DatabaseConfig
from aiostream_server.config.pointers import surroundings
from aiostream_server.config.providers import (
    ComponentModelConfig,
    DemoModelConfig,
    LlamaCppModelConfig,
    ModelConfig,
    ModelInfoConfig,
    OpenAIModelConfig,
)
from aiostream_server.config.server import (
    AuthConfig,
    FilesConfig,
    LimitsConfig,
    MetricsConfig,
    ServerConfig,
    TracingConfig,
)
from aiostream_server.config.table import ConfigTable, TeamId
from aiostream_server.config.teams import (
    BUILT_IN_TEAM_IDS,
    RESERVED_IDS,
    ComponentsConfig,
    TeamConfig,
    TeamFolderConfig,
)
from aiostream_server.config.tools import (
    ChartToolConfig,
    CodeToolConfig,
    HttpToolConfig,
    LangChainToolConfig,
    McpToolConfig,
    PythonToolConfig,
    SqlToolConfig,
    ToolConfig,
    check_tool_name,
)

__all__ = [
    "BUILT_IN_TEAM_IDS",
    "RESERVED_IDS",
    "AuthConfig",
    "AuxiliaryConfig",
    "ChartToolConfig",
    "ClientKind",
    "CodeToolConfig",
    "ComponentModelConfig",
    "ComponentsConfig",
    "ConcurrentTurns",
    "Config",
    "ConversationsConfig",
    "DatabaseConfig",
    "DemoModelConfig",
    "FilesConfig",
    "HttpToolConfig",
    "LangChainToolConfig",
    "LimitsConfig",
    "LlamaCppModelConfig",
    "McpToolConfig",
    "MetricsConfig",
    "ModelConfig",
    "ModelInfoConfig",
    "OnDisconnect",
    "OpenAIModelConfig",
    "OpenWebUIConfig",
    "Presentation",
    "PythonToolConfig",
    "RoutingConfig",
    "ServerConfig",
    "SpeechRole",
    "SqlToolConfig",
    "TeamConfig",
    "TeamFolderConfig",
    "TeamId",
    "ToolConfig",
    "TracingConfig",
]

ClientKind = Literal["open-webui"]


class Config(ConfigTable):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    auth: AuthConfig = AuthConfig()
    limits: LimitsConfig = LimitsConfig()
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    routing: RoutingConfig = RoutingConfig()
    open_webui: OpenWebUIConfig = OpenWebUIConfig()
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    files: FilesConfig = FilesConfig()
    metrics: MetricsConfig = MetricsConfig()
    tracing: TracingConfig = TracingConfig()
    database: dict[str, DatabaseConfig] = Field(default_factory=dict)
    tools: dict[str, ToolConfig] = Field(default_factory=dict)
    components: ComponentsConfig = ComponentsConfig()
    team_folders: Annotated[tuple[TeamFolderConfig, ...], Strict(False)] = ()
    teams: Annotated[tuple[TeamConfig, ...], Strict(False)] = Field(default=(), validate_default=True)
    _notes: tuple[str, ...] = PrivateAttr(default=())
    _unread: tuple[str, ...] = PrivateAttr(default=())

    @field_validator("tools")
    @classmethod
    def _names_that_models_can_call(cls, tools: dict[str, ToolConfig]) -> dict[str, ToolConfig]:
        for name in tools:
            check_tool_name(name)
        return tools

    @field_validator("metrics")
    @classmethod
    def _ports_for_every_worker(cls, metrics: MetricsConfig, info: ValidationInfo) -> MetricsConfig:
        server = info.data.get("server")
        if server is not None and (problem := metrics.port_problem(server.port, server.workers)):
            raise ValueError(problem)
        return metrics

    @field_validator("teams")
    @classmethod
    def _model_for_built_in_teams(cls, teams: tuple[TeamConfig, ...], info: ValidationInfo) -> tuple[TeamConfig, ...]:
        around = surroundings(info)
        if (
            around
            and not teams
            and not around.has_other_teams
            and around.models is not None
            and "default" not in around.models
        ):
            raise ValueError("without [[teams]] the two built-in teams are served, which need a [models.default]")
        return teams

    @model_validator(mode="after")
    def _keep_notes(self, info: ValidationInfo) -> Self:
        if around := surroundings(info):
            self._notes, self._unread = tuple(around.notes), tuple(dict.fromkeys(around.unread))
        return self

    @property
    def unread(self) -> tuple[str, ...]:
        """A line for each secret that could not be read, and was not needed."""
        return self._unread

    @property
    def notes(self) -> tuple[str, ...]:
        """What the loader found that is no mistake, but worth a line in the log."""
        return self._notes
