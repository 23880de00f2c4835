"""The kinds of auxiliary questions, by Open WebUI's names for its tasks.

The names are those of its `constants.TASKS`, `utils/context_compaction.py` and `utils/memory.py`. Three are ours:
`plain_title` and `plain_tags` are what other chat apps ask for, answered as text in the `Wrapping` that they want;
`unknown` is a question that a header or a pattern calls auxiliary without naming its kind.
"""

import json
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
    "emoji_generation", "moa_response_generation", "context_compaction", "plain_title", "plain_tags", "unknown"
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
class Wrapping:
    """What a client expects around a text: the `fields` of a JSON object, an XML tag named `tag`, or nothing.

    `fields` are names and what each holds; `tool` is the client's tool that takes the object as arguments. `template`
    is an administrator's, with "{}" in the text's place.
    """

    fields: tuple[tuple[str, Literal["text", "list", "language", "emoji"]], ...] = ()
    tag: str = ""
    tool: str = ""
    template: str = ""

    def around(self, text: str, language: str) -> str:
        if self.template:
            is_json = self.template.lstrip().startswith(("{", "["))
            return self.template.replace("{}", json.dumps(text, ensure_ascii=False)[1:-1] if is_json else text)
        if self.fields:
            values = {"text": text, "list": text.split(", "), "language": language, "emoji": "💬"}
            return json.dumps({name: values[holds] for name, holds in self.fields}, ensure_ascii=False)
        return f"<{self.tag}>{text}</{self.tag}>" if self.tag else text


PLAIN: Final = Wrapping()


@dataclass(frozen=True, slots=True)
class Said:
    """One message; `role` is in capitals."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Auxiliary:
    """A recognised question: the client's instruction and, where there is one, its system message.

    `said` is the conversation where its messages stand beside the instruction; otherwise the texts hold it.
    """

    kind: AuxiliaryKind
    prompt: str = field(repr=False)
    system: str = field(default="", repr=False)
    said: tuple[Said, ...] = field(default=(), repr=False)
    wrapping: Wrapping = PLAIN
