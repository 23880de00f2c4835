"""`[models.NAME]`: where the text of a model comes from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from aiostream_server.config.pointers import FilePath, SecretFile, VariableName, WithSecret, surroundings
from aiostream_server.config.table import ConfigTable, HeaderName, HttpUrl

_OF_ANY_PROCESS: Final = frozenset({"PATH", "HOME", "LANG", "LD_LIBRARY_PATH"})
_OF_GPUS: Final = ("CUDA_", "NVIDIA_", "HIP_", "ROCR_", "HSA_", "GGML_")

MessageNames = Literal["none", "field", "prefix"]
"""How a model learns the speaker of a user message: not at all, by `name`, or by "Writer said:" before the text."""

MessageSequence = Literal["auto", "any", "alternate"]
"""Which sequences of messages a model takes: by its name and its refusals, all of them, or only strict ones: one system
message, then user and assistant in turns, the user or a tool last."""


class ModelInfoConfig(ConfigTable):
    """What a model can do. Keys that are not given are derived from its name, or have the usual values."""

    vision: bool = False
    function_calling: bool = True
    json_output: bool = True
    structured_output: bool = False
    family: str = "unknown"


class _WithApiKey(WithSecret):
    """A table that names an API key. The loader reads it into `api_key`."""

    key_prefix = "api_key"
    api_key_env: VariableName | None = None
    api_key_file: SecretFile | None = None

    @property
    def api_key(self) -> SecretStr | None:
        return self.secret


class OpenAIModelConfig(_WithApiKey):
    """`provider = "openai"`: OpenAI, Azure, vLLM, Ollama, llama.cpp's server and others with the same API."""

    provider: Literal["openai"]
    model: str
    base_url: HttpUrl = "https://api.openai.com/v1"  # its query is sent with every request
    api_key_header: HeaderName = "Authorization"  # another header has the bare key
    headers: dict[HeaderName, str] = Field(default_factory=dict, description="sent with every request; no secrets")
    model_info: ModelInfoConfig | None = None
    message_names: MessageNames = "none"
    messages: MessageSequence = "auto"
    opens_thinking: bool = Field(default=False, description="its chat template writes the opening <think>")
    options: dict[str, Any] = Field(default_factory=dict, description="sent with every request: temperature ...")
    connect_timeout_s: PositiveFloat = 10.0
    idle_timeout_s: PositiveFloat = Field(default=120.0, description="longest silence of the provider")
    total_timeout_s: NonNegativeFloat = Field(default=0.0, description="of one call, retries included; 0 is no limit")
    max_retries: NonNegativeInt = Field(default=2, description="of a request, until its answer has begun")


class LlamaCppModelConfig(ConfigTable):
    """`provider = "llama.cpp"`: weights on this machine, in a process of the server's own. Needs the extra `local`."""

    provider: Literal["llama.cpp"]
    path: FilePath
    context_tokens: PositiveInt = Field(default=8192, description="of one conversation, the answer included")
    parallel: PositiveInt = Field(default=1, description="answers at once; each has context_tokens of its own")
    threads: NonNegativeInt = Field(default=0, description="0: one for each core but one")
    gpu_layers: int = Field(default=-1, ge=-1, description="-1: as many as fit")
    chat_template: FilePath | None = Field(default=None, description="a Jinja file, instead of the model's own")
    tools: Literal["auto", "native", "grammar"] = "auto"
    start_timeout_s: PositiveFloat = 120.0
    idle_stop_s: NonNegativeFloat = Field(default=0.0, description="without a question; 0 is never")
    options: dict[str, Any] = Field(default_factory=dict, description="sent with every request: temperature ...")
    model_info: ModelInfoConfig | None = None
    _environment: dict[str, str] = PrivateAttr(default_factory=dict)

    @field_validator("model_info")
    @classmethod
    def _no_images(cls, said: ModelInfoConfig | None) -> ModelInfoConfig | None:
        if said is not None and said.vision:
            raise ValueError("vision: models of llama.cpp take no images here")
        return said

    @model_validator(mode="after")
    def _read_environment(self, info: ValidationInfo) -> Self:
        around = surroundings(info)
        ours: Mapping[str, str] = {} if around is None else around.environ
        found = {name for name in ours if name in _OF_ANY_PROCESS or name.startswith(_OF_GPUS)}
        self._environment = {name: ours[name] for name in found}
        return self

    @property
    def environment(self) -> Mapping[str, str]:
        """The server's variables that its process inherits: paths of programs and libraries, and settings of GPUs."""
        return self._environment


class DemoModelConfig(ConfigTable):
    """`provider = "demo"`: rules instead of a language model. 0 `tokens_per_s` is as fast as possible."""

    provider: Literal["demo"]
    tokens_per_s: NonNegativeFloat = 0.0


def _table_or_path(value: object) -> object:
    if not isinstance(value, dict | str | Path):
        raise ValueError("expected a table, or the path of a JSON file")
    return value


class ComponentModelConfig(_WithApiKey):
    """`provider = "component"`: any AutoGen model component, inline or in a JSON file.

    The key is for an OpenAI component without one: AutoGen replaces keys by asterisks when it writes a component.
    """

    provider: Literal["component"]
    component: Annotated[dict[str, Any] | FilePath, BeforeValidator(_table_or_path)] = Field(repr=False)


ModelConfig = Annotated[
    OpenAIModelConfig | LlamaCppModelConfig | DemoModelConfig | ComponentModelConfig, Field(discriminator="provider")
]
