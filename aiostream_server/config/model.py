"""The configuration, as a frozen model: `configs/server.toml` is the commented example of all of it.

Durations are in seconds and sizes in bytes; the unit is in the key's name. Unknown keys are errors, and so are values
of another type. Secrets are named in the file (`..._env`, `..._file`) and read once, by `config.load`; `repr` never
shows one.

Most checks concern one key: pydantic runs these even if other keys of the table are wrong, so that one load names every
mistake.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, Strict, ValidationInfo, field_validator, model_validator

from aiostream_server.config.chat import AuxiliaryConfig as AuxiliaryConfig
from aiostream_server.config.chat import OpenWebUIConfig as OpenWebUIConfig
from aiostream_server.config.chat import RoutingConfig as RoutingConfig
from aiostream_server.config.choices import OnDisconnect as OnDisconnect
from aiostream_server.config.choices import Presentation as Presentation
from aiostream_server.config.choices import ReasoningField as ReasoningField
from aiostream_server.config.choices import SpeechRole as SpeechRole
from aiostream_server.config.databases import ConcurrentTurns as ConcurrentTurns
from aiostream_server.config.databases import ConversationsConfig as ConversationsConfig
from aiostream_server.config.databases import DatabaseConfig as DatabaseConfig
from aiostream_server.config.pointers import surroundings
from aiostream_server.config.providers import ComponentModelConfig as ComponentModelConfig
from aiostream_server.config.providers import DemoModelConfig as DemoModelConfig
from aiostream_server.config.providers import LlamaCppModelConfig as LlamaCppModelConfig
from aiostream_server.config.providers import ModelConfig as ModelConfig
from aiostream_server.config.providers import ModelInfoConfig as ModelInfoConfig
from aiostream_server.config.providers import OpenAIModelConfig as OpenAIModelConfig
from aiostream_server.config.runs import OnOutage as OnOutage
from aiostream_server.config.runs import RunsConfig as RunsConfig
from aiostream_server.config.server import AuthConfig as AuthConfig
from aiostream_server.config.server import FilesConfig as FilesConfig
from aiostream_server.config.server import LimitsConfig as LimitsConfig
from aiostream_server.config.server import MetricsConfig as MetricsConfig
from aiostream_server.config.server import PageConfig as PageConfig
from aiostream_server.config.server import ServerConfig as ServerConfig
from aiostream_server.config.server import TracingConfig as TracingConfig
from aiostream_server.config.table import ConfigTable
from aiostream_server.config.table import TeamId as TeamId
from aiostream_server.config.teams import BUILT_IN_TEAM_IDS as BUILT_IN_TEAM_IDS
from aiostream_server.config.teams import RESERVED_IDS as RESERVED_IDS
from aiostream_server.config.teams import ComponentsConfig as ComponentsConfig
from aiostream_server.config.teams import TeamConfig as TeamConfig
from aiostream_server.config.teams import TeamFolderConfig as TeamFolderConfig
from aiostream_server.config.tools import ChartToolConfig as ChartToolConfig
from aiostream_server.config.tools import CodeToolConfig as CodeToolConfig
from aiostream_server.config.tools import HttpToolConfig as HttpToolConfig
from aiostream_server.config.tools import LangChainToolConfig as LangChainToolConfig
from aiostream_server.config.tools import McpToolConfig as McpToolConfig
from aiostream_server.config.tools import PythonToolConfig as PythonToolConfig
from aiostream_server.config.tools import SqlToolConfig as SqlToolConfig
from aiostream_server.config.tools import ToolConfig as ToolConfig
from aiostream_server.config.tools import check_tool_name

ClientKind = Literal["open-webui"]


class Config(ConfigTable):
    """The whole file."""

    server: ServerConfig = ServerConfig()
    auth: AuthConfig = AuthConfig()
    limits: LimitsConfig = LimitsConfig()
    runs: RunsConfig = RunsConfig()
    models: dict[str, ModelConfig] = Field(default_factory=dict)
    routing: RoutingConfig = RoutingConfig()
    open_webui: OpenWebUIConfig = OpenWebUIConfig()
    auxiliary: AuxiliaryConfig = AuxiliaryConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    files: FilesConfig = FilesConfig()
    page: PageConfig = PageConfig()
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
    def _port_of_its_own(cls, metrics: MetricsConfig, info: ValidationInfo) -> MetricsConfig:
        server = info.data.get("server")
        if server is not None and (problem := metrics.port_problem(server.port)):
            raise ValueError(problem)
        return metrics

    @field_validator("teams")
    @classmethod
    def _model_for_built_in_teams(cls, teams: tuple[TeamConfig, ...], info: ValidationInfo) -> tuple[TeamConfig, ...]:
        around = surroundings(info)
        models = around.tables["models"] if around and not teams and not around.has_other_teams else None
        if models is not None and "default" not in models:
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
