"""Tells an auxiliary question from a turn of a conversation.

A mistake either way is costly: a team runs for a title, or a question is answered with a title. So a first line alone
decides nothing: Open WebUI's retrieval template, which wraps questions of users, begins with the same `### Task:` as
its tasks. In this order, these decide:

* the header that a connection fills with `{{TASK}}` (Open WebUI 0.12.4: `utils/headers.py`): empty for every real turn;
* the shape: one user message, not streamed, that begins and ends as its template does and holds a rendered history;
* the administrator's patterns;
* what the text instructs, as other chat apps do (`apps`).

Everything here takes a few passes over the text, and each regular expression reads a bounded part.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from aiostream_server.intake.question import Question
from aiostream_server.routing.auxiliary.apps import last_message, recognise_app, said_before
from aiostream_server.routing.auxiliary.kinds import JSON_KEYS, KINDS, Auxiliary, AuxiliaryKind, Wrapping
from aiostream_server.routing.auxiliary.templates import TASK, kind_by_shape
from aiostream_server.text import typed_question

_READ_CHARS: Final = 8_000
_TASK_NAME: Final = re.compile(r"[a-z]+(?:_[a-z]+){1,5}")
_KIND_OF_KEY: Final = {key: kind for kind, key in JSON_KEYS.items()}
_KEY: Final = re.compile(rf'"({"|".join(_KIND_OF_KEY)})"\s{{0,9}}:')


@dataclass(frozen=True, slots=True)
class PromptPattern:
    """An administrator's: the messages that it is searched in, and the template of the answer."""

    pattern: re.Pattern[str]
    place: Literal["alone", "last", "system"] = "alone"
    answer: str = ""


def recognise(
    question: Question, task: str | None, patterns: Sequence[PromptPattern] = (), *, is_streamed: bool
) -> Auxiliary | None:
    """None for a turn of a conversation. `task` is the value of the task header, None where it was not sent.

    The first 8,000 characters of a message are searched for `patterns`. A named group that is the name of a kind tells
    the kind; otherwise the first JSON key that the prompt asks for tells it.
    """
    system = "\n".join(turn.text for turn in question.history if turn.role == "system")
    prompt = question.asked[-1]
    if task is not None and not task.strip():
        return None
    if task is not None and question.form is None and (kind := _named_kind(task.strip(), prompt, system)) is not None:
        return Auxiliary(kind, prompt, system)
    if _is_wrapped(prompt):
        return None
    if question.form is not None:
        return recognise_app(question)
    if _is_lone_prompt(question) and (kind := kind_by_shape(prompt, system, streamed=is_streamed)) is not None:
        return Auxiliary(kind, prompt, system)
    if patterns and (found := _by_pattern(question, prompt, system, patterns)) is not None:
        return found
    return None if prompt.lstrip().startswith(TASK) else recognise_app(question)


def _named_kind(task: str, prompt: str, system: str) -> AuxiliaryKind | None:
    """The kind of the task that the header names. 0.6.36 sends its `{{TASK}}` as it is, which names none."""
    if task in KINDS:
        return KINDS[task]
    if _TASK_NAME.fullmatch(task):  # of a newer client
        return kind_by_shape(prompt, system, streamed=False) or "unknown"
    return None


def _is_lone_prompt(question: Question) -> bool:
    """One user message of text, and no other messages but system messages."""
    return not question.task.images and all(turn.role == "system" for turn in question.history)


def _is_wrapped(prompt: str) -> bool:
    """A client puts documents and files around what a person typed, never around a question of its own."""
    return typed_question(prompt) != prompt.strip()


def _by_pattern(question: Question, prompt: str, system: str, patterns: Sequence[PromptPattern]) -> Auxiliary | None:
    is_alone, last = _is_lone_prompt(question), last_message(question)
    for entry in patterns:
        match entry.place:
            case "alone":
                texts = [prompt, system] if is_alone else []
            case "last":
                texts = [] if is_alone else [last]
            case "system":
                texts = [system]
        found = next((found for text in texts if (found := entry.pattern.search(text[:_READ_CHARS]))), None)
        if found is not None:
            kind = KINDS.get(found.lastgroup or "") or _kind_by_key(prompt) or _kind_by_key(system) or "unknown"
            said = () if is_alone else said_before(question)
            return Auxiliary(
                kind, last if entry.place == "last" else prompt, system, said, Wrapping(template=entry.answer)
            )
    return None


def _kind_by_key(text: str) -> AuxiliaryKind | None:
    found = _KEY.search(text[:_READ_CHARS])
    return None if found is None else _KIND_OF_KEY[found[1]]
