"""Components that an older AutoGen wrote, as 0.7.5 reads them: AutoGen Studio 0.4 comes with AutoGen 0.5.

Only `AssistantAgent` has changed: its second version has a list of workbenches where the first had one.
"""

from collections.abc import Mapping
from typing import Any, Final

_CHANGED: Final = "AssistantAgent"


def upgraded(value: Any) -> Any:  # any JSON
    """A copy. What is not of an older version stays as it is."""
    if isinstance(value, list | tuple):
        return [upgraded(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    copied = {key: upgraded(item) for key, item in value.items()}
    if _is_older(copied):
        copied["component_version"] = 2
        if isinstance(workbench := copied["config"].get("workbench"), dict):
            copied["config"]["workbench"] = [workbench]
    return copied


def _is_older(component: Mapping[str, Any]) -> bool:
    provider, version = component.get("provider"), component.get("component_version")
    is_agent = isinstance(provider, str) and provider.rpartition(".")[2] == _CHANGED
    return is_agent and version == 1 and isinstance(component.get("config"), dict)
