"""A reply of the demo model: text, one tool call, or both. Every reply in words carries `LABEL`."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LABEL: Final = "(demo model: rules, not a language model)"
CONFIGURE: Final = "For questions of any kind, configure a language model as `[models.default]`."


@dataclass(frozen=True, slots=True)
class DemoCall:
    """One tool call; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class DemoReply:
    """`text` is said first; then the tool is called, if there is one."""

    text: str
    call: DemoCall | None = None


def say(text: str) -> DemoReply:
    return DemoReply(f"{text} {LABEL}")


def call(tool: str, *, thought: str = "", **arguments: str | Sequence[str]) -> DemoReply:
    """A tool call; a `thought` is said before it, with the label."""
    words = f"{thought} {LABEL}" if thought else ""
    return DemoReply(words, DemoCall(tool, json.dumps(arguments, ensure_ascii=False)))


def shorten(text: str, *, words: int = 24, characters: int = 160) -> str:
    """The beginning of a text on one line; an ellipsis marks an omission."""
    all_words = text[: characters * 4].split()
    short = " ".join(all_words[:words])[:characters]
    return short if len(short) == len(" ".join(text.split())) else f"{short.rstrip('.,;: ')} …"


def not_understood(words: Sequence[str], example: str) -> str:
    """The honest answer: names the words that no rule consumed, and says how to configure a model."""
    quoted = " and ".join(f"“{word}”" for word in words) or "the combination of these words"
    return f"I did not understand {quoted}, so I give no answer. I answer questions such as “{example}”. {CONFIGURE}"
