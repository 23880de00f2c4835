"""Our client as an AutoGen component, and its replacement of `autogen_ext`'s in a component's JSON, at any depth.

The configuration is that of `autogen_ext.models.openai.OpenAIChatCompletionClient`, key for key:
https://microsoft.github.io/autogen/stable/reference/python/autogen_ext.models.openai.html. The differences:

* the key comes from the configuration only, never from the environment;
* a model with an unknown name needs no `model_info`;
* `timeout` bounds the provider's silence, as in the `openai` package;
* Azure's `azure_ad_token_provider` is not supported: use `azure_ad_token` or `api_key`.
"""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Generic, Literal, Self, TypeVar

from autogen_core import Component, ComponentModel
from pydantic import BaseModel, Field, SecretStr
from yarl import URL

from aiostream_server.config.model import ModelInfoConfig, OpenAIModelConfig
from aiostream_server.models.call_memory import CallMemory
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.openai.provider import OpenAIProvider
from aiostream_server.models.provider import ModelLabel

_HOSTS: Final = {  # by the beginning of the model's name, as autogen_ext has it
    "gemini-": "https://generativelanguage.googleapis.com/v1beta/openai",
    "claude-": "https://api.anthropic.com/v1",
    "Llama-": "https://api.llama.com/compat/v1",
}
_OPENAI: Final = "https://api.openai.com/v1"
_CONNECT_TIMEOUT_S: Final = 10.0
_IDLE_TIMEOUT_S: Final = 600.0  # the `openai` package's


class CreateOptions(BaseModel):
    """Options that are sent with every request if they are set."""

    frequency_penalty: float | None = None
    logit_bias: dict[str, int] | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    presence_penalty: float | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None
    stream_options: dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    extra_body: dict[str, Any] | None = None


class ClientConfig(CreateOptions):
    """The settings that the clients of OpenAI and Azure share."""

    model: str
    api_key: SecretStr | None = None
    n: Literal[1] | None = None
    timeout: float | None = Field(default=None, gt=0)
    max_retries: int | None = Field(default=None, ge=0)
    model_capabilities: dict[str, Any] | None = None
    model_info: dict[str, Any] | None = None
    add_name_prefixes: bool | None = None
    include_name_in_message: bool | None = None
    default_headers: dict[str, str] | None = None


class OpenAIClientConfig(ClientConfig):
    organization: str | None = None
    base_url: str | None = None


class AzureOpenAIClientConfig(ClientConfig):
    azure_endpoint: str
    azure_deployment: str | None = None
    api_version: str
    azure_ad_token: SecretStr | None = None
    azure_ad_token_provider: ComponentModel | None = None


_Config = TypeVar("_Config", bound=ClientConfig)


class ComponentClient(StreamingClient, Generic[_Config]):
    """A client that keeps its configuration. Raises `pydantic.ValidationError`."""

    component_type: ClassVar[str] = "model"
    component_config_schema: type[_Config]

    def __init__(self, **settings: Any) -> None:
        self._config = self.component_config_schema.model_validate(settings)
        self.table: Final = self._table(self._config)
        subject = f"the provider of the model {self._config.model}"
        self.provider: Final = OpenAIProvider(self.table, subject=subject)
        label = ModelLabel(self._config.model, self._config.model, "openai")
        super().__init__(self.provider, label=label, calls=CallMemory())

    @staticmethod
    @abstractmethod
    def _table(config: Any) -> OpenAIModelConfig:
        """The client as a `[models.*]` table."""

    def _to_config(self) -> _Config:
        return self._config

    @classmethod
    def _from_config(cls, config: _Config) -> Self:
        return cls(**config.model_dump(exclude_none=True))


class OpenAIChatClient(ComponentClient[OpenAIClientConfig], Component[OpenAIClientConfig]):
    """Takes the settings of `OpenAIChatCompletionClient`."""

    component_config_schema = OpenAIClientConfig
    component_provider_override = "aiostream_server.models.openai.component.OpenAIChatClient"

    @staticmethod
    def _table(config: OpenAIClientConfig) -> OpenAIModelConfig:
        host = next((host for prefix, host in _HOSTS.items() if config.model.startswith(prefix)), _OPENAI)
        organization = {"OpenAI-Organization": config.organization} if config.organization else {}
        headers = {**(config.default_headers or {}), **organization}
        return _model(config, base_url=config.base_url or host, headers=headers).with_secret(config.api_key)


class AzureOpenAIChatClient(ComponentClient[AzureOpenAIClientConfig], Component[AzureOpenAIClientConfig]):
    """Takes the settings of `AzureOpenAIChatCompletionClient`, but for `azure_ad_token_provider`."""

    component_config_schema = AzureOpenAIClientConfig
    component_provider_override = "aiostream_server.models.openai.component.AzureOpenAIChatClient"

    @staticmethod
    def _table(config: AzureOpenAIClientConfig) -> OpenAIModelConfig:
        if config.azure_ad_token_provider is not None:
            raise ValueError("azure_ad_token_provider is not supported: give azure_ad_token or api_key")
        deployment = URL(config.azure_endpoint) / "openai/deployments" / (config.azure_deployment or config.model)
        return _model(
            config,
            base_url=str(deployment.with_query({"api-version": config.api_version})),
            headers=config.default_headers or {},
            api_key_header="Authorization" if config.azure_ad_token else "api-key",
        ).with_secret(config.azure_ad_token or config.api_key)


def _model(config: ClientConfig, **settings: Any) -> OpenAIModelConfig:
    info = config.model_info or config.model_capabilities
    known = ModelInfoConfig.model_fields.keys()
    options = config.model_dump(include=set(CreateOptions.model_fields), exclude_none=True)
    names = "none" if config.include_name_in_message is False else "field"
    return OpenAIModelConfig.model_validate(
        {
            "provider": "openai",
            "model": config.model,
            "model_info": None if info is None else {key: info[key] for key in info.keys() & known},
            "message_names": "prefix" if config.add_name_prefixes else names,
            "options": options,
            "connect_timeout_s": min(config.timeout or _CONNECT_TIMEOUT_S, _CONNECT_TIMEOUT_S),
            "idle_timeout_s": config.timeout or _IDLE_TIMEOUT_S,
            "max_retries": 2 if config.max_retries is None else config.max_retries,
            **settings,
        }
    )


_AUTOGEN: Final = ("autogen_core", "autogen_agentchat", "autogen_ext")
_OURS: Final = {
    "OpenAIChatCompletionClient": OpenAIChatClient.component_provider_override,
    "openai_chat_completion_client": OpenAIChatClient.component_provider_override,
    "AzureOpenAIChatCompletionClient": AzureOpenAIChatClient.component_provider_override,
    "azure_openai_chat_completion_client": AzureOpenAIChatClient.component_provider_override,
}


def replace_model_components(component: Mapping[str, Any], *, api_key: SecretStr | None = None) -> dict[str, Any]:
    """A copy of `component` that loads our clients.

    `api_key` is for clients without a key or with a masked one, as `dump_component` writes it. Clients that still have
    no key are left to `autogen_ext`, which reads the environment; so are Azure's with a token provider.
    """
    return {key: _replaced(value, api_key) for key, value in _client(component, api_key).items()}


def _replaced(value: Any, api_key: SecretStr | None) -> Any:  # any JSON
    if isinstance(value, Mapping):
        return replace_model_components(value, api_key=api_key)
    if isinstance(value, list | tuple):
        return [_replaced(item, api_key) for item in value]
    return value


def _client(component: Mapping[str, Any], api_key: SecretStr | None) -> Mapping[str, Any]:
    """The component, with our class if it is a replaceable client."""
    ours = own_class(component)
    if ours is None:
        return component
    config = without_masks(component["config"])
    if "api_key" not in config and "azure_ad_token" not in config:
        if api_key is None:
            return component
        config["api_key"] = api_key.get_secret_value()
    return {**component, "provider": ours, "config": config}


def own_class(component: Mapping[str, Any]) -> str | None:
    """The full name of our class that can replace a component's; None if none can.

    Accepts every path in AutoGen's packages: one class has many, private modules included.
    """
    provider, config = component.get("provider"), component.get("config")
    if not isinstance(provider, str) or not isinstance(config, Mapping) or config.get("azure_ad_token_provider"):
        return None
    package, _, path = provider.partition(".")
    name = path.rpartition(".")[2] if package in _AUTOGEN else provider
    return _OURS.get(name, provider if provider in _OURS.values() else None)


def without_masks(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings without empty values and without the asterisks that `dump_component` writes for secrets."""
    return {key: value for key, value in config.items() if value not in (None, "") and not is_masked(value)}


def is_masked(value: object) -> bool:
    return isinstance(value, str) and bool(value) and set(value) == {"*"}
