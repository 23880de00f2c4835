"""What the demo model can do in one turn: say something, call one tool, or both; always labelled."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

LABEL: Final = "(demo model: rules, not a language model)"


@dataclass(frozen=True, slots=True)
class ToolCall:
    """One call; `arguments` is the JSON text that the tool gets."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Reply:
    """`text` is said first; then the tool is called, if there is one."""

    text: str
    call: ToolCall | None = None


def say(text: str) -> Reply:
    """Plain words, with the label behind them."""
    return Reply(f"{text} {LABEL}")


def call(tool: str, *, thought: str = "", **arguments: str | Sequence[str]) -> Reply:
    """A tool call; a `thought` is said, labelled, before it."""
    words = f"{thought} {LABEL}" if thought else ""
    return Reply(words, ToolCall(tool, json.dumps(arguments, ensure_ascii=False)))


def gist(text: str, *, words: int = 24, characters: int = 160) -> str:
    """The beginning of a text on one line, with an ellipsis where something was left out."""
    all_words = text[: characters * 4].split()
    short = " ".join(all_words[:words])[:characters]
    return short if len(short) == len(" ".join(text.split())) else f"{short.rstrip('.,;: ')} …"
