"""Names from AutoGen's private modules."""

from typing import Final

from autogen_agentchat.messages import BaseChatMessage
from autogen_core._component_config import WELL_KNOWN_PROVIDERS

_OPENAI_IMAGE: Final = ("autogen_ext.agents.openai._openai_agent", "ImageMessage")


def full_provider(provider: str) -> str:
    """The class that `load_component` loads for a provider: some short names stand for a full one."""
    return WELL_KNOWN_PROVIDERS.get(provider, provider)


def is_openai_image(message: BaseChatMessage) -> bool:
    """Whether `OpenAIAgent` sent this picture. Compares names, because the class's module imports `openai`."""
    kind = type(message)
    return (kind.__module__, kind.__name__) == _OPENAI_IMAGE
