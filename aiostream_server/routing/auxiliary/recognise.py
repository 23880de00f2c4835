"""Tells an auxiliary question from a turn of a conversation.

A mistake either way is costly: a team runs for a title, or a question is answered with a title. So a first line alone
decides nothing: Open WebUI's retrieval template, which wraps questions of users, begins with the same `### Task:` as
its tasks. In this order, these decide:

* the header that a connection fills with `{{TASK}}` (Open WebUI 0.12.4: `utils/headers.py`): empty for every real turn;
* the shape: one user message, not streamed, that begins and ends as its template does and holds a rendered history;
* the administrator's patterns.

Everything here takes a few passes over the text, and each regular expression reads a bounded part.
"""

import re
from collections.abc import Sequence
from typing import Final

from aiostream_server.intake.question import Question
from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, KINDS, Auxiliary, AuxiliaryKind
from aiostream_server.routing.auxiliary.templates import kind_by_shape
from aiostream_server.routing.question import routing_question

_READ_CHARS: Final = 8_000
_TASK_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+){1,5}")
_KIND_OF_KEY: Final = {key: kind for kind, key in JSON_KEYS.items()}
_KEY: Final = re.compile(rf'"({"|".join(_KIND_OF_KEY)})"\s{{0,9}}:')


def recognise(
    question: Question, task: str | None, patterns: Sequence[re.Pattern[str]] = (), *, is_streamed: bool
) -> Auxiliary | None:
    """None for a turn of a conversation. `task` is the value of the task header, None where it was not sent.

    The first 8,000 characters of the user's and of the system message are searched for `patterns`. A named group that
    is the name of a kind tells the kind; otherwise the first JSON key that the prompt asks for tells it.
    """
    system = "\n".join(turn.text for turn in question.history if turn.role == "system")
    prompt = question.asked[-1]
    if task is not None:
        name = task.strip()
        if not name:
            return None
        if name in KINDS:
            return Auxiliary(KINDS[name], prompt, system)
        if _TASK_NAME.fullmatch(name):  # of a newer client
            return Auxiliary(kind_by_shape(prompt, system, streamed=False) or "unknown", prompt, system)
        # Anything else is not the name of a task: 0.6.36 sends the header's `{{TASK}}` as it is, with every request.
    if not _is_lone_prompt(question) or _is_wrapped(prompt):
        return None
    kind = kind_by_shape(prompt, system, streamed=is_streamed) or _kind_by_pattern(prompt, system, patterns)
    return None if kind is None else Auxiliary(kind, prompt, system)


def _is_lone_prompt(question: Question) -> bool:
    """One user message of text, and no other messages but system messages."""
    return not question.task.images and all(turn.role == "system" for turn in question.history)


def _is_wrapped(prompt: str) -> bool:
    """A client puts documents and files around what a person typed, never around a question of its own."""
    return routing_question(prompt) != prompt.strip()


def _kind_by_pattern(prompt: str, system: str, patterns: Sequence[re.Pattern[str]]) -> AuxiliaryKind | None:
    head, system_head = prompt[:_READ_CHARS], system[:_READ_CHARS]
    for pattern in patterns:
        if found := pattern.search(head) or pattern.search(system_head):
            return KINDS.get(found.lastgroup or "") or _kind_by_key(head) or _kind_by_key(system_head) or "unknown"
    return None


def _kind_by_key(head: str) -> AuxiliaryKind | None:
    found = _KEY.search(head)
    return None if found is None else _KIND_OF_KEY[found[1]]
