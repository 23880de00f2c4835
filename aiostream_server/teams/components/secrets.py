"""Whether a component holds what others must not read: a key, or something that often is one."""

import re
from collections.abc import Mapping
from typing import Any, Final

from aiostream_server.models.openai.replacing import is_masked
from aiostream_server.teams.components.tree import places

_NAMES: Final = re.compile(r"key$|token$|secret|passw|authorization|credential|connection_string", re.IGNORECASE)
_OFTEN: Final = ("headers", "default_headers", "env")
_IN_TEXT: Final = re.compile(
    r"\b(sk|pk|ghp|gho|xoxb|xoxp)[-_][\w-]{16,}|://[^/\s@]+:[^/\s@]+@|[?&][^=&\s]*(key|token|secret|passw)[^=&\s]*=",
    re.ASCII | re.IGNORECASE,
)


def may_hold_secrets(component: Mapping[str, Any]) -> bool:
    """Rather once too often: what stands in code and prompts is known by its shape only."""
    return any(_may_be_secret(key, value) for place in places(component) for key, value in place.found.items())


def _may_be_secret(key: str, value: object) -> bool:
    if isinstance(value, Mapping):
        return key in _OFTEN and any(isinstance(item, str) and item and not is_masked(item) for item in value.values())
    if isinstance(value, list):
        return any(isinstance(item, str) and _IN_TEXT.search(item) for item in value)
    if not isinstance(value, str) or not value or is_masked(value):
        return False
    return bool(_NAMES.search(key) or _IN_TEXT.search(value))
