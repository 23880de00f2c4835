"""Literal types of configuration values that team modules name, too.

Imports nothing, so that a module with a `@team` function loads without pydantic.
"""

from typing import Literal, TypeAlias

Presentation: TypeAlias = Literal["transcript", "reasoning", "answer"]
OnDisconnect: TypeAlias = Literal["cancel", "continue"]
SpeechRole: TypeAlias = Literal["thinking", "validation", "analysis", "message"]
