"""Recognises what chat apps other than Open WebUI ask beside a conversation, by what they instruct and where.

The instruction stands alone, before or behind the conversation that it quotes (LibreChat, Continue, Chatbox, Jan); in a
system message, with the conversation as the user's (LobeChat, Cherry Studio, opencode, big-AGI); or in the last message
behind the conversation (NextChat: a user message for a title, a system message for a summary). They stream or not.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from aiostream_server.intake.question import CONTINUE_TASK, Question, Turn
from aiostream_server.routing.auxiliary import vocabulary as words
from aiostream_server.routing.auxiliary.instructions import (
    Wanted,
    conditions,
    is_about_one_message,
    is_first_person,
    is_role,
    may_instruct,
    wanted_by,
    wants_summary,
)
from aiostream_server.routing.auxiliary.kinds import Auxiliary, AuxiliaryKind, Said
from aiostream_server.routing.auxiliary.quoted_conversation import (
    begins_as_transcript,
    has_conversation,
    holds_history,
    holds_speech,
    is_parameter,
    is_transcript,
    lines_to_add,
    rest_behind_frame,
)
from aiostream_server.routing.auxiliary.wrapping import words_of_form, wrapping_of

_HEAD_CHARS: Final = 1_500
_TAIL_CHARS: Final = 700
_LAST_CHARS: Final = 4_000
_SYSTEM_CHARS: Final = 8_000
_KIND_OF: Final[dict[Wanted, AuxiliaryKind]] = {
    "title": "plain_title",
    "tags": "plain_tags",
    "summary": "context_compaction",
}
_WEAK: Final = (words.BOUND, words.ONLY, words.CUE, words.KEY)


def recognise_app(question: Question) -> Auxiliary | None:
    """None for a turn of a conversation."""
    if question.task.images:
        return None
    is_behind = any(turn.role != "system" for turn in question.history)
    if not any(may_instruct(text) for text in _windows(question)):
        return None  # as nearly always
    return _behind(question) if is_behind else _alone(question)


def last_message(question: Question) -> str:
    """The text of the last message: the question's, or a system message behind it."""
    if question.task.text == CONTINUE_TASK and question.history[-1].role == "system":
        return question.history[-1].text
    return question.task.text


def said_before(question: Question) -> tuple[Said, ...]:
    return _said(question.history)


def _windows(question: Question) -> Iterator[str]:
    """The texts that may instruct, and of long ones the two ends."""
    yield words_of_form(question.form)
    for turn in (*question.history, question.task):
        if turn.role == "system" or turn is question.task:
            yield (
                turn.text if len(turn.text) <= _LAST_CHARS else f"{turn.text[:_HEAD_CHARS]} {turn.text[-_TAIL_CHARS:]}"
            )


def _alone(question: Question) -> Auxiliary | None:
    """One user message, perhaps with system messages."""
    prompt, system = question.task.text.strip(), _joined(question.history)
    wanted = _in_prompt(prompt, system)
    if wanted is None and (is_parameter(prompt) or not holds_history(system)):
        wanted = _in_system(system)  # about the user's message, not about a conversation that it holds itself
    if wanted is None and has_conversation(prompt):
        wanted = wanted_by(words_of_form(question.form), least=1, by_system=True)
    return None if wanted is None else _auxiliary(question, wanted, prompt, system)


def _in_prompt(prompt: str, system: str) -> Wanted | None:
    head, tail = prompt[:_HEAD_CHARS], prompt[-_TAIL_CHARS:]
    if rest := rest_behind_frame(prompt)[:_TAIL_CHARS]:
        tail = rest
    if begins_as_transcript(prompt):
        found = wanted_by(tail, least=2) or (wanted_by(tail, least=1) if _in_system(system) else None)
        if found is not None:
            return found
        if wants_summary(tail):
            return "summary"
    elif (
        (found := wanted_by(head, least=1 if holds_speech(prompt) else 2)) is not None
        and _ends_as_instruction(rest)
        and has_conversation(prompt)
    ):
        return found
    elif is_transcript(prompt) and wants_summary(head):
        return "summary"
    return "summary" if lines_to_add(prompt) else None


def _ends_as_instruction(rest: str) -> bool:
    """Behind a conversation in a frame there is nothing, or a part of the instruction: no question about it."""
    return not rest or any(part.search(rest) for part in (*_WEAK, words.MARKS, words.TITLE)) or "title" in rest.lower()


def _in_system(system: str) -> Wanted | None:
    text = system[:_HEAD_CHARS]
    if not text or len(system) > _SYSTEM_CHARS:
        return None
    wanted = wanted_by(text, least=0, by_system=True)
    return (
        wanted
        if wanted and (conditions(text) > 1 or is_role(text) or any(part.search(text) for part in _WEAK))
        else None
    )


def _behind(question: Question) -> Auxiliary | None:
    """The last message behind a conversation; or a system message that is about nothing but titles."""
    turns = [*question.history]
    if turns[-1].role == "system" and question.task.text == CONTINUE_TASK:
        last = turns.pop()
        wanted = wanted_by(last.text[:_LAST_CHARS], least=1, by_system=True) or _summary_by_system(last.text)
        return None if wanted is None else _auxiliary(question, wanted, last.text, "", turns)
    last = question.task
    system = _joined(turn for turn in turns if turn.role == "system")
    if len(last.text) <= _LAST_CHARS and not is_first_person(last.text):
        text = last.text.strip()
        wanted = wanted_by(text, least=2) or ("summary" if wants_summary(text) else None)
        if wanted is not None:
            return _auxiliary(question, wanted, text, system, turns)
    if (wanted := _in_system(system)) is not None:
        return _auxiliary(
            question, wanted, last.text, system, [last] if is_about_one_message(system) else [*turns, last]
        )
    return None


def _summary_by_system(text: str) -> Wanted | None:
    is_summary = words.SUMMARY.search(text) and any(
        part.search(text) for part in (words.BOUND, words.CONTEXT, words.CHAT)
    )
    return "summary" if is_summary or wants_summary(text) else None


def _auxiliary(
    question: Question, wanted: Wanted, prompt: str, system: str, turns: Sequence[Turn] = ()
) -> Auxiliary | None:
    """None where the request wants an answer in a form that holds something else."""
    instruction = f"{system}\n\n{prompt}" if system else prompt
    wrapping = wrapping_of(wanted, instruction, question.form)
    return None if wrapping is None else Auxiliary(_KIND_OF[wanted], prompt, system, _said(turns), wrapping)


def _said(turns: Sequence[Turn]) -> tuple[Said, ...]:
    return tuple(Said(turn.role.upper(), turn.text) for turn in turns if turn.role in ("user", "assistant"))


def _joined(turns: Iterable[Turn]) -> str:
    return "\n".join(turn.text for turn in turns if turn.role == "system")
