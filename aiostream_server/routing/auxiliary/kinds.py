"""The kinds of auxiliary questions, by Open WebUI's names for its tasks.

The names are those of its `constants.TASKS`, `utils/context_compaction.py` and `utils/memory.py`. Two are ours:
`plain_title` is LibreChat's question for a title, answered as plain text; `unknown` is a question that a header or a
pattern calls auxiliary without naming its kind.
"""

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

JsonKind: TypeAlias = Literal[
    "title_generation",
    "tags_generation",
    "follow_up_generation",
    "query_generation",
    "image_prompt_generation",
    "autocomplete_generation",
    "function_calling",
    "memory_review",
]
TextKind: TypeAlias = Literal[
    "emoji_generation", "moa_response_generation", "context_compaction", "plain_title", "unknown"
]
AuxiliaryKind: TypeAlias = JsonKind | TextKind

KINDS: Final[dict[str, AuxiliaryKind]] = {kind: kind for part in (JsonKind, TextKind) for kind in get_args(part)}

JSON_KEYS: Final[dict[JsonKind, str]] = {
    "title_generation": "title",
    "tags_generation": "tags",
    "follow_up_generation": "follow_ups",
    "query_generation": "queries",
    "image_prompt_generation": "prompt",
    "autocomplete_generation": "text",
    "function_calling": "tool_calls",
    "memory_review": "operations",
}
"""The only key of the JSON object that the client expects."""

JSON_KINDS: Final[dict[AuxiliaryKind, JsonKind]] = {kind: kind for kind in JSON_KEYS}


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A recognised question: the client's user message and, where there is one, its system message."""

    kind: AuxiliaryKind
    prompt: str = field(repr=False)
    system: str = field(default="", repr=False)
