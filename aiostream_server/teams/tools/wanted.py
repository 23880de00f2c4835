"""What a factory may ask its tools for."""

from collections.abc import Callable
from typing import Any, TypeAlias

from autogen_core.tools import BaseTool

Wanted: TypeAlias = str | BaseTool[Any, Any] | Callable[..., object]
"""The name of a `[tools.*]`, a tool of AutoGen's, or a function with type hints and a docstring."""
