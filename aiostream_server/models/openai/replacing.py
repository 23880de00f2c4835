"""Puts our client where an AutoGen component names `autogen_ext`'s for OpenAI or Azure.

A component is JSON: `{"provider": "module.Class", "config": {...}}`, with components in it at any depth.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import SecretStr

_AUTOGEN: Final = ("autogen_core", "autogen_agentchat", "autogen_ext")
_OURS: Final = {
    name: f"aiostream_server.models.openai.component.{client}"
    for client, names in {
        "OpenAIChatClient": ("OpenAIChatCompletionClient", "openai_chat_completion_client"),
        "AzureOpenAIChatClient": ("AzureOpenAIChatCompletionClient", "azure_openai_chat_completion_client"),
    }.items()
    for name in names
}


def replace_model_components(component: Mapping[str, Any], *, api_key: SecretStr | None = None) -> dict[str, Any]:
    """A copy that loads our clients; `component` stays as it is.

    `api_key` is for the clients that say none, or only asterisks, as `dump_component` writes it. Those that have no key
    then are left to `autogen_ext`, which looks for one in the environment; so are Azure's with a token provider.
    """
    return {key: _replaced(value, api_key) for key, value in _client(component, api_key).items()}


def _replaced(value: Any, api_key: SecretStr | None) -> Any:  # any JSON
    if isinstance(value, Mapping):
        return replace_model_components(value, api_key=api_key)
    if isinstance(value, list | tuple):
        return [_replaced(item, api_key) for item in value]
    return value


def own_class(component: Mapping[str, Any]) -> str | None:
    """The full name of our class that can stand for a component; None where none can."""
    provider, config = component.get("provider"), component.get("config")
    ours = _ours(provider) if isinstance(provider, str) else None
    if ours is None or not isinstance(config, Mapping) or config.get("azure_ad_token_provider"):
        return None
    return ours


def _ours(provider: str) -> str | None:
    """By any path in AutoGen's packages: one class has many, of private modules as well."""
    package, _, path = provider.partition(".")
    name = path.rpartition(".")[2] if package in _AUTOGEN else provider
    return _OURS.get(name, provider if provider in _OURS.values() else None)


def without_masks(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are said: nothing empty, and none of the asterisks that `dump_component` writes for secrets."""
    return {key: value for key, value in config.items() if value not in (None, "") and not is_masked(value)}


def is_masked(value: object) -> bool:
    return isinstance(value, str) and bool(value) and set(value) == {"*"}


def _client(component: Mapping[str, Any], api_key: SecretStr | None) -> Mapping[str, Any]:
    """The component itself, as ours if it is a client that can be."""
    ours = own_class(component)
    if ours is None:
        return component
    config = without_masks(component["config"])
    if "api_key" not in config and "azure_ad_token" not in config:
        if api_key is None:
            return component
        config["api_key"] = api_key.get_secret_value()
    return {**component, "provider": ours, "config": config}
