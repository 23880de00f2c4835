"""Reads the conversation inside a prompt, which Open WebUI writes as `USER: ...` and `ASSISTANT: ...`.

A line of a message that itself begins with such a label is taken for the beginning of another message.
"""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aiostream_server.intake.undecorate import undecorate
from aiostream_server.routing.auxiliary.kinds import Said
from aiostream_server.routing.auxiliary.templates import HISTORY_END, HISTORY_START, RESPONSES
from aiostream_server.text import RETRIEVAL, shortened, typed_question

_LABEL: Final = re.compile(r"^(USER|ASSISTANT|SYSTEM|DEVELOPER|TOOL|User|AI|unknown): ?", re.MULTILINE)
_ROLES: Final = {"User": "USER", "AI": "ASSISTANT"}
_NOTHING: Final = "None"  # stands for a message without text
_CONTEXT_END: Final = "</context>"
_READ_CHARS: Final = 200_000
_TURN_CHARS: Final = 4_000
_BETWEEN_RESPONSES: Final = '"""\n\n"""'
_BLOCK_START: Final = "<details>\n<summary>"


def conversation(prompt: str) -> list[Said]:
    """The messages of the prompt's history, or of the whole prompt where no history is marked, without decoration."""
    start, end = _bounds(prompt)
    return messages_of(prompt[start:end])


def messages_of(text: str) -> list[Said]:
    """The messages of a text that consists of labelled messages, without decoration."""
    return [
        replace(said, text=_undecorated(said.text)) if said.role == "ASSISTANT" else said for said in _messages(text)
    ]


def last_raw_answer(prompt: str) -> str:
    """The assistant's last message as it was sent, decoration included; empty where there is none."""
    start, end = _bounds(prompt)
    return next((said.text for said in reversed(_messages(prompt[start:end])) if said.role == "ASSISTANT"), "")


def questions(prompt: str) -> Iterator[str]:
    """The user's questions, oldest first, without what the client put around them."""
    start, end = _bounds(prompt)
    asked = (typed_question(said.text).strip() for said in _messages(prompt[start:end]) if said.role == "USER")
    return (question for question in asked if question and question != _NOTHING)


def condensed(prompt: str) -> str:
    """The prompt with a history for a small model: without decoration, and no message over 4,000 characters."""
    start, end = _bounds(prompt)
    if (start, end) == (0, len(prompt)):
        return prompt
    lines = (f"{said.role}: {shortened(said.text, _TURN_CHARS)}" for said in conversation(prompt))
    return f"{prompt[:start]}{chr(10).join(lines)}\n{prompt[end:]}"


def responses(prompt: str) -> list[str]:
    """The answers that the prompt asks to merge, without decoration."""
    _, _, quoted = prompt.strip().partition(RESPONSES)
    texts = (_undecorated(text.strip()) for text in quoted.removesuffix('"""').split(_BETWEEN_RESPONSES))
    return [text for text in texts if text]


def _bounds(prompt: str) -> tuple[int, int]:
    """Where the history begins and ends. The last end tag is the template's; messages may contain earlier ones."""
    opening, end = HISTORY_START.search(prompt), prompt.rfind(HISTORY_END)
    if opening is None or end < opening.end():
        return 0, len(prompt)
    return opening.end(), end


def _messages(text: str) -> list[Said]:
    """The messages of the history; of a very long one only those at its two ends."""
    if len(text) > _READ_CHARS:
        text = f"{text[: _READ_CHARS // 2]}\n{text[-_READ_CHARS // 2 :]}"
    labels = list(_LABEL.finditer(text))
    starts = [label.start() for label in labels] + [len(text)]
    messages: list[Said] = []
    last_context_end = text.rfind(_CONTEXT_END)
    index = 0
    while index < len(labels):
        label, index = labels[index], index + 1
        if label.end() < last_context_end and text.startswith(RETRIEVAL, label.end()):
            context_end = text.find(_CONTEXT_END, label.end())  # the documents in it may quote a conversation
            while index < len(labels) and starts[index] < context_end:
                index += 1
        role = _ROLES.get(label[1], label[1])
        messages.append(Said(role, text[label.end() : starts[index]].strip()))
    return messages


def _undecorated(text: str) -> str:
    """The text as it is where its last block is not closed: the block is cut off, or not ours."""
    last = text.rfind(_BLOCK_START)
    if last >= 0 and text.find("\n</details>", text.find("</summary>", last)) < 0:
        return text
    return undecorate(text) or text
