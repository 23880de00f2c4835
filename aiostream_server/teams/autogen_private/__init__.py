"""Everything that depends on AutoGen's private names, of the pinned version 0.7.5.

No other room reads a private attribute of AutoGen, patches a class of it or imports a private module: it calls a
function here. `tests/teams/test_autogen_private.py` names each private name and says what breaks without it.
"""

from typing import Final

from autogen_core._component_config import WELL_KNOWN_PROVIDERS

_OPENAI_IMAGE: Final = ("autogen_ext.agents.openai._openai_agent", "ImageMessage")


def full_provider(provider: str) -> str:
    """The class that `load_component` loads for a provider: some short names stand for a full one."""
    return WELL_KNOWN_PROVIDERS.get(provider, provider)


def is_openai_image(message: object) -> bool:
    """Whether `OpenAIAgent` sent this picture. Compares names, because the class's module imports `openai`."""
    kind = type(message)
    return (kind.__module__, kind.__name__) == _OPENAI_IMAGE
