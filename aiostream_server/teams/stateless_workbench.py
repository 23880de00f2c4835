"""What AutoGen wants of a workbench beside its tools, for those that have nothing to open, to reset or to save."""

from collections.abc import Mapping
from typing import Any

from autogen_core.tools import Workbench
from pydantic import BaseModel


class StatelessWorkbench(Workbench):
    """Its subclasses list the tools and call them."""

    component_config_schema = BaseModel  # without fields: it is never written to component JSON

    async def start(self) -> None:
        """Has nothing to start."""

    async def stop(self) -> None:
        """Has nothing to stop."""

    async def reset(self) -> None:
        """Has nothing to reset."""

    async def save_state(self) -> Mapping[str, Any]:
        return {}

    async def load_state(self, state: Mapping[str, Any]) -> None:
        """Has no state."""
