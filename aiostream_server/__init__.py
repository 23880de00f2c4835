"""AutoGen agent teams, served as streaming OpenAI models."""

from typing import Final

__version__: Final = "0.1.0"
