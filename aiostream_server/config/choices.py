"""Literal types of configuration values that team modules name, too.

Imports nothing, so that a module with a `@team` function loads without pydantic.
"""

from typing import Literal, TypeAlias

Presentation: TypeAlias = Literal["transcript", "reasoning", "answer"]
OnDisconnect: TypeAlias = Literal["cancel", "continue"]
Restart: TypeAlias = Literal["never", "turn"]
ReasoningField: TypeAlias = Literal["reasoning_content", "reasoning"]
SpeechRole: TypeAlias = Literal["thinking", "validation", "analysis", "message"]
