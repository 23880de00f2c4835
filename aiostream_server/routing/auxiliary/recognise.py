"""Tells what is asked beside a conversation from a turn of it.

A mistake either way is costly: a team that runs for a title, or a question that is answered with one. So nothing is
told by a first line alone: Open WebUI's retrieval template, which wraps questions of users, begins with the same
`### Task:` as its tasks. What is looked at, in this order:

* the header that a connection fills with `{{TASK}}` (Open WebUI 0.12.4: `utils/headers.py`): empty for every real turn;
* the shape: one user message, not streamed, that begins and ends as its template does and holds a rendered history;
* the administrator's patterns.

Nothing here takes more than a few passes over the text, and every regular expression of ours reads a bounded part.
"""

import re
from collections.abc import Sequence
from typing import Final

from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, KINDS, Auxiliary, AuxiliaryKind
from aiostream_server.routing.auxiliary.templates import kind_by_shape
from aiostream_server.routing.question import routing_question
from aiostream_server.wire.messages import ImageUrlPart, Message, PlainMessage, TextPart
from aiostream_server.wire.request import ChatRequest

_READ_CHARS: Final = 8_000
_SYSTEM: Final = ("system", "developer")
_TASK_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+){1,5}")
_KIND_OF_KEY: Final = {key: kind for kind, key in JSON_KEYS.items()}
_KEY: Final = re.compile(rf'"({"|".join(_KIND_OF_KEY)})"\s{{0,9}}:')


def recognise(chat: ChatRequest, task: str | None, patterns: Sequence[re.Pattern[str]] = ()) -> Auxiliary | None:
    """None for a turn of a conversation. `task` is the value of the task header, None where it was not sent.

    The first 8,000 characters of the user's and of the system message are searched for `patterns`; a named group that
    is the name of a kind tells the kind, else the first JSON key that the prompt asks for.
    """
    system, prompt = _texts(chat.messages)
    if task is not None:
        name = task.strip()
        if not name:
            return None
        if name in KINDS:
            return Auxiliary(KINDS[name], prompt, system)
        if _TASK_NAME.fullmatch(name):  # a newer client's
            return Auxiliary(kind_by_shape(prompt, system, streamed=False) or "unknown", prompt, system)
        # Anything else is no task's name: 0.6.36 sends the header's `{{TASK}}` as it is, with every request.
    if not _is_lone_prompt(chat.messages) or _is_wrapped(prompt):
        return None
    kind = kind_by_shape(prompt, system, streamed=chat.stream) or _kind_by_pattern(prompt, system, patterns)
    return None if kind is None else Auxiliary(kind, prompt, system)


def _is_lone_prompt(messages: Sequence[Message]) -> bool:
    """One user message of text, and nothing else but system messages."""
    others = [message for message in messages if message.role not in _SYSTEM]
    return len(others) == 1 and others[0].role == "user" and not _has_images(others[0])


def _is_wrapped(prompt: str) -> bool:
    """A client puts documents and files around what a person typed, never around a question of its own."""
    return routing_question(prompt) != prompt.strip()


def _texts(messages: Sequence[Message]) -> tuple[str, str]:
    """The system messages' text, and the last user message's."""
    system = "\n".join(_text(message) for message in messages if message.role in _SYSTEM)
    prompt = next((message for message in reversed(messages) if message.role == "user"), None)
    return system, _text(prompt) if prompt is not None else ""


def _text(message: Message) -> str:
    if isinstance(message, PlainMessage):
        return message.text
    return "\n".join(part.text for part in message.content if isinstance(part, TextPart))


def _has_images(message: Message) -> bool:
    return not isinstance(message, PlainMessage) and any(isinstance(part, ImageUrlPart) for part in message.content)


def _kind_by_pattern(prompt: str, system: str, patterns: Sequence[re.Pattern[str]]) -> AuxiliaryKind | None:
    head, system_head = prompt[:_READ_CHARS], system[:_READ_CHARS]
    for pattern in patterns:
        if found := pattern.search(head) or pattern.search(system_head):
            return KINDS.get(found.lastgroup or "") or _kind_by_key(head) or _kind_by_key(system_head) or "unknown"
    return None


def _kind_by_key(head: str) -> AuxiliaryKind | None:
    found = _KEY.search(head)
    return None if found is None else _KIND_OF_KEY[found[1]]
