"""The configuration, as a frozen model: `configs/server.toml` is the commented example of all of it.

Durations are in seconds and sizes in bytes; the unit is in the key's name. Unknown keys are errors, and so are values
of another type. Secrets are named in the file (`..._env`, `..._file`) and read once, by
`config.load`; `repr` never shows one.

A check concerns one key wherever that is possible: pydantic runs those on a table whose other keys are wrong, too.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    Strict,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiostream_server.config.databases import ConcurrentTurns, ConversationsConfig, DatabaseConfig
from aiostream_server.config.files import FilesConfig
from aiostream_server.config.observing import MetricsConfig, TracingConfig
from aiostream_server.config.pointers import (
    FilePath,
    SecretFile,
    VariableName,
    check_name,
    check_team,
    read_secret,
    surroundings,
)
from aiostream_server.config.providers import (
    ComponentModelConfig,
    DemoModelConfig,
    LlamaCppModelConfig,
    ModelConfig,
    ModelInfoConfig,
    OpenAIModelConfig,
)
from aiostream_server.config.table import HeaderName, HttpUrl, Origin, Pattern, Table, TeamId
from aiostream_server.config.teams import (
    BUILT_IN_TEAM_IDS,
    RESERVED_IDS,
    ComponentsConfig,
    OnDisconnect,
    Presentation,
    SpeechRole,
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


class ServerConfig(Table):
    """`[server]`: the socket, and how long and how much."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535, description="0 picks a free port")
    workers: int = Field(default=1, ge=1, le=256, description="processes; they do not share runs")
    public_url: HttpUrl | None = None
    max_body_bytes: PositiveInt = 32 * 1024**2
    body_timeout_s: PositiveFloat = 15.0
    heartbeat_s: PositiveFloat = 10.0
    write_timeout_s: PositiveFloat = 10.0
    lame_duck_s: NonNegativeFloat = 0.0
    drain_s: NonNegativeFloat = 25.0
    tls_certificate: FilePath | None = None
    tls_key: FilePath | None = Field(default=None, validate_default=True)
    loop: Literal["uvloop", "asyncio"] = "uvloop"
    cors_origins: Annotated[tuple[Origin, ...], Strict(False)] = ()
    log_format: Literal["auto", "json", "text"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    watch: bool = Field(default=False, description="reload when a file has changed")

    @field_validator("tls_key")
    @classmethod
    def _key_of_certificate(cls, key: Path | None, info: ValidationInfo) -> Path | None:
        if "tls_certificate" in info.data and (info.data["tls_certificate"] is None) != (key is None):
            raise ValueError("tls_certificate and tls_key need each other")
        return key


class AuthConfig(Table):
    """`[auth]`. Without a keys file, or with an empty one, only a loopback address may be bound."""

    keys_file: FilePath | None = None


class LimitsConfig(Table):
    """`[limits]`. 0 means no limit."""

    max_runs: PositiveInt = 200
    max_runs_per_key: NonNegativeInt = 0
    max_runs_per_user: NonNegativeInt = 0
    queue_size: NonNegativeInt = 0
    queue_timeout_s: PositiveFloat = 10.0
    run_timeout_s: PositiveFloat = 600.0
    idle_timeout_s: PositiveFloat = 120.0
    max_tokens_per_run: NonNegativeInt = 0
    max_turns_per_run: NonNegativeInt = 0
    max_tool_calls_per_run: NonNegativeInt = 200
    retention_s: NonNegativeFloat = 900.0
    retained_bytes: NonNegativeInt = 64 * 1024**2
    max_log_bytes: PositiveInt = 16 * 1024**2


class RoutingConfig(Table):
    """`[routing]`: which team a question to `auto` goes to."""

    strategy: Literal["rules", "model", "rules-then-model"] = "rules"
    model: str = Field(default="default", validate_default=True, description="the [models.*] table that classifies")
    fallback: TeamId | None = Field(default=None, description="team when nothing is sure; else `general`, or the first")
    threshold: float = Field(default=0.6, ge=0, le=1, description="surer than this needs no model")
    timeout_s: PositiveFloat = 10.0

    @field_validator("model")
    @classmethod
    def _known_model(cls, model: str, info: ValidationInfo) -> str:
        around = surroundings(info)
        if around and (model != "default" or info.data.get("strategy") != "rules"):
            check_name("models", model, around.models)
        return model

    @field_validator("fallback")
    @classmethod
    def _known_team(cls, team: str | None, info: ValidationInfo) -> str | None:
        around = surroundings(info)
        if team and around and around.teams is not None and not around.has_other_teams:
            check_team(team, around.teams or BUILT_IN_TEAM_IDS)
        return team


class OpenWebUIConfig(Table):
    """`[open_webui]`: what is done for Open WebUI only, recognised by its headers or by the key's setting."""

    coalesce_ms: NonNegativeFloat = 30.0
    remote_images: bool = False
    chat_header: HeaderName | None = None
    task_header: HeaderName = "X-OpenWebUI-Task"
    user_token_secret_env: VariableName | None = None
    user_token_secret_file: SecretFile | None = None
    _user_token_secret: SecretStr | None = PrivateAttr(default=None)

    @field_validator("user_token_secret_file")
    @classmethod
    def _one_secret(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("user_token_secret_env") is not None:
            raise ValueError("user_token_secret_env and user_token_secret_file exclude each other")
        return file

    @model_validator(mode="after")
    def _read(self, info: ValidationInfo) -> Self:
        self._user_token_secret = read_secret(self.user_token_secret_env, self.user_token_secret_file, info)
        around = surroundings(info)
        if around and self._user_token_secret and len(self._user_token_secret.get_secret_value().encode()) < 32:
            around.notes.append("[open_webui] the user token secret is shorter than 32 bytes: it may be guessed")
        return self

    @property
    def user_token_secret(self) -> SecretStr | None:
        """Open WebUI's own FORWARD_USER_INFO_HEADER_JWT_SECRET; None where none is configured."""
        return self._user_token_secret


class AuxiliaryConfig(Table):
    """`[auxiliary]`: titles, tags and the like, which chat clients ask for beside the conversation."""

    model: str | None = Field(default=None, description="the [models.*] table that answers; without, no model does")
    timeout_s: PositiveFloat = 5.0
    patterns: Annotated[tuple[Pattern, ...], Strict(False)] = ()

    @field_validator("model")
    @classmethod
    def _known_model(cls, model: str | None, info: ValidationInfo) -> str | None:
        around = surroundings(info)
        if around and model is not None:
            check_name("models", model, around.models)
        return model


class Config(Table):
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
        are_built_in = around and not teams and not around.has_other_teams
        if around and are_built_in and around.models is not None and "default" not in around.models:
            raise ValueError("without [[teams]] the two built-in teams are served, which need a [models.default]")
        return teams

    @model_validator(mode="after")
    def _keep_notes(self, info: ValidationInfo) -> Self:
        if around := surroundings(info):
            self._notes, self._unread = tuple(around.notes), tuple(dict.fromkeys(around.unread))
        return self

    @property
    def unread(self) -> tuple[str, ...]:
        """The secrets that were not read where they are not needed, a line each."""
        return self._unread

    @property
    def notes(self) -> tuple[str, ...]:
        """What the loader found that is no mistake, but worth a line in the log."""
        return self._notes
