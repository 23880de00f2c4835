"""Makes any sequence of messages one that a strict chat template takes: no text is lost, and the order stays.

AutoGen makes the words of other agents user messages, and chat clients keep answers that were stopped before their
first word. Many templates and services take only one leading system message, then user and assistant in turns, the
user or a tool last; each `MessageRule` is one such demand. Only empty messages are dropped for every model.

Written from the templates of Mistral (https://huggingface.co/mistralai/Mistral-7B-Instruct-v0.3), Gemma
(https://huggingface.co/google/gemma-3-12b-it), Llama 2 and Qwen 3.5, and from
https://docs.claude.com/en/api/messages, https://api-docs.deepseek.com and mistral-common's request validator.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from itertools import groupby, takewhile
from typing import Any, Final, NamedTuple, TypeAlias

from aiostream_server.models.families import MessageRule

Wire: TypeAlias = dict[str, Any]
_Content: TypeAlias = str | list[Wire] | None

_OPENING: Final = "Begin."  # where the assistant would have the first word
_GO_ON: Final = "Continue."  # where it would have the last
_NOTED: Final = "OK."  # between a tool's result and a user's words, which another agent may have said
_NO_RESULT: Final = "(no result)"
_NO_OUTPUT: Final = "(no output)"
_EMPTY: Final = "(empty)"
_SHORT_ID: Final = re.compile(r"[a-zA-Z0-9]{9}")
_OF_ROLES: Final = (
    MessageRule.ROLES_ALTERNATE
    | MessageRule.SYSTEM_FIRST
    | MessageRule.NO_SYSTEM
    | MessageRule.USER_LAST
    | MessageRule.HAS_USER
)
_THOUGHTS: Final = frozenset({"reasoning", "reasoning_content"})


class SequenceTurn(NamedTuple):
    """`source` is who said a user's message, as AutoGen has it; empty where the message itself says so."""

    message: Wire
    source: str = ""

    @property
    def role(self) -> str:
        return str(self.message["role"])


def without_empty(turns: Sequence[SequenceTurn]) -> Sequence[SequenceTurn]:
    """Drop messages without words, pictures and calls: many models refuse them. Applies to every model."""
    said = [turn for turn in turns if _says_something(turn.message)]
    if len(said) == len(turns) or any(turn.role != "system" for turn in said):
        return said
    return [*said, *[turn for turn in turns if turn.role != "system"][-1:]] or turns[-1:]


def fitted(turns: Sequence[SequenceTurn], rules: MessageRule, *, are_named: bool) -> list[Wire]:
    """The messages as `rules` demand. `are_named`: each user's message says already who said it."""
    if not rules:
        return [turn.message for turn in turns]
    if MessageRule.ROLES_ALTERNATE in rules:
        rules |= MessageRule.SYSTEM_FIRST | MessageRule.CALLS_ANSWERED
    if MessageRule.CALLS_ANSWERED in rules:
        turns = list(_answered(turns))
    if MessageRule.CALLS_AS_TEXT in rules:
        turns = _without_calls(turns)
    if rules & _OF_ROLES:
        turns = _with_fit_roles(turns, rules)
    messages: Iterable[Wire] = (turn.message for turn in _alternating(turns, are_named, rules))
    if MessageRule.NOT_EMPTY in rules:
        messages = map(_filled, messages)
    if MessageRule.SHORT_IDS in rules:
        messages = map(_with_short_ids, messages)
    if MessageRule.TEXT_OR_THOUGHT in rules:
        messages = map(_without_thought_beside_text, messages)
    return list(messages)


def _says_something(message: Wire) -> bool:
    content: _Content = message.get("content")
    if message["role"] == "tool" or message.get("tool_calls"):
        return True
    if isinstance(content, list):
        return any(map(_is_part, content))
    return bool(content and content.strip())


def _is_part(part: Wire) -> bool:
    return part.get("type") != "text" or bool(part["text"].strip())


def _user(text: str) -> SequenceTurn:
    return SequenceTurn({"role": "user", "content": text})


def _answered(turns: Sequence[SequenceTurn]) -> Iterator[SequenceTurn]:
    """Each call has one result, right behind it; a result without its call becomes a user's words."""
    rest = list(reversed(turns))
    while rest:
        turn = rest.pop()
        if turn.role == "tool":
            yield _without_call(turn)
            continue
        yield turn
        open_calls = {call["id"]: None for call in turn.message.get("tool_calls", ())}  # in their order
        others = []
        while open_calls and rest and rest[-1].role == "tool":
            result = rest.pop()
            if result.message["tool_call_id"] in open_calls:
                del open_calls[result.message["tool_call_id"]]
                yield result
            else:
                others.append(_without_call(result))
        yield from map(_no_result, open_calls)
        yield from others


def _no_result(call_id: str) -> SequenceTurn:
    return SequenceTurn({"role": "tool", "tool_call_id": call_id, "content": _NO_RESULT})


def _without_call(result: SequenceTurn) -> SequenceTurn:
    return _user(f"Result of a tool call:\n{result.message['content']}")


def _without_calls(turns: Sequence[SequenceTurn]) -> list[SequenceTurn]:
    """Calls become the assistant's words, and their results a user's."""
    called: dict[str, str] = {}
    told: list[SequenceTurn] = []
    for turn in turns:
        if turn.role == "tool":
            name = called.get(turn.message["tool_call_id"], "a tool")
            told.append(_user(f"Result of {name}:\n{turn.message['content']}"))
        elif calls := turn.message.get("tool_calls"):
            lines = []
            for call in calls:
                name, arguments = call["function"]["name"], call["function"]["arguments"]
                called[call["id"]] = name
                lines.append(f"Call {name}: {arguments}")
            rest = {key: value for key, value in turn.message.items() if key != "tool_calls"}
            told.append(turn._replace(message={**rest, "content": _joined([rest["content"], "\n".join(lines)])}))
        else:
            told.append(turn)
    return told


def _with_fit_roles(turns: Sequence[SequenceTurn], rules: MessageRule) -> Sequence[SequenceTurn]:
    """A system message where it may stand, and a user's where there must be one."""
    if all(turn.role == "system" for turn in turns):
        rules |= MessageRule.NO_SYSTEM
    if rules & (MessageRule.SYSTEM_FIRST | MessageRule.NO_SYSTEM):
        turns = _one_system(turns, is_refused=MessageRule.NO_SYSTEM in rules)
    elif MessageRule.USER_LAST in rules and turns[-1].role == "system":
        turns = [*turns[:-1], *_one_system(turns[-1:], is_refused=True)]
    talk = [turn.role for turn in turns if turn.role != "system"]
    must_begin = MessageRule.ROLES_ALTERNATE in rules and talk[:1] != ["user"]
    if must_begin or (MessageRule.HAS_USER in rules and "user" not in talk):
        at = sum(1 for _ in takewhile(lambda turn: turn.role == "system", turns))
        turns = [*turns[:at], _user(_OPENING), *turns[at:]]
    if MessageRule.USER_LAST in rules and talk[-1:] == ["assistant"]:
        turns = [*turns, _user(_GO_ON)]
    return turns


def _one_system(turns: Sequence[SequenceTurn], *, is_refused: bool) -> list[SequenceTurn]:
    """Keep at most one system message, the first; turn the others into user messages."""
    fit: list[SequenceTurn] = []
    for turn in turns:
        if turn.role != "system" or (not fit and not is_refused):
            fit.append(turn)
        else:
            text = turn.message["content"]
            fit.append(_user(f"System message:\n{text}" if fit else text))
    return fit


def _alternating(turns: Sequence[SequenceTurn], are_named: bool, rules: MessageRule) -> Iterator[SequenceTurn]:
    if MessageRule.ROLES_ALTERNATE not in rules:
        yield from turns
        return
    before = ""
    for role, group in groupby(turns, key=lambda turn: turn.role):
        if before == "tool" and role == "user":
            yield SequenceTurn({"role": "assistant", "content": _NOTED})
        if role == "user":
            yield _joined_users(list(group), are_named)
        elif role == "assistant":
            yield _joined_assistants(list(group))
        else:
            yield from group
        before = role


def _joined_users(turns: list[SequenceTurn], are_named: bool) -> SequenceTurn:
    if len(turns) == 1:
        return turns[0]
    sources = {turn.source for turn in turns} - {""}
    with_names = len(sources) > 1 and not are_named
    contents = [_named(turn) if with_names else turn.message["content"] for turn in turns]
    joined = {"role": "user", "content": _joined(contents)}
    names = {turn.message.get("name") for turn in turns}
    if len(names) == 1 and (name := names.pop()) is not None:
        joined["name"] = name
    return SequenceTurn(joined, turns[0].source)


def _named(turn: SequenceTurn) -> _Content:
    content: _Content = turn.message["content"]
    if not turn.source:
        return content
    said = f"{turn.source} said:"
    return f"{said}\n{content}" if isinstance(content, str) else [_text_part(said), *(content or ())]


def _joined_assistants(turns: list[SequenceTurn]) -> SequenceTurn:
    """Calls can only stand in the last one: their results follow."""
    joined = dict(turns[0].message)
    for turn in turns[1:]:
        for name, value in turn.message.items():
            if name == "content":
                joined[name] = _joined([joined.get(name), value])
            else:
                joined[name] = _both(joined.get(name), value)
    return SequenceTurn(joined)


def _both(old: Any, new: Any) -> Any:
    """Join two values of an extra field: lists and unequal texts are concatenated; else the later value counts."""
    if isinstance(old, list) and isinstance(new, list):
        return [*old, *new]
    if isinstance(old, str) and isinstance(new, str) and old != new:
        return f"{old}\n\n{new}"
    return new


def _joined(contents: Sequence[_Content]) -> _Content:
    said = [content for content in contents if content]
    texts = [content for content in said if isinstance(content, str)]
    if len(texts) == len(said):
        return "\n\n".join(texts) or None
    return [part for content in said for part in ([_text_part(content)] if isinstance(content, str) else content)]


def _text_part(text: str) -> Wire:
    return {"type": "text", "text": text}


def _filled(message: Wire) -> Wire:
    """No blank text, and no empty list of parts."""
    content: _Content = message.get("content")
    if isinstance(content, list):
        return {**message, "content": [part for part in content if _is_part(part)] or _EMPTY}
    if content and content.strip():
        return message
    if message.get("tool_calls"):
        return {**message, "content": None}
    return {**message, "content": _NO_OUTPUT if message["role"] == "tool" else _EMPTY}


def _with_short_ids(message: Wire) -> Wire:
    """Mistral's calls have ids of nine letters and digits."""
    if message["role"] == "tool":
        return {**message, "tool_call_id": _short_id(message["tool_call_id"])}
    if "tool_calls" not in message:
        return message
    return {**message, "tool_calls": [{**call, "id": _short_id(call["id"])} for call in message["tool_calls"]]}


def _short_id(call_id: str) -> str:
    if _SHORT_ID.fullmatch(call_id):
        return call_id
    return blake2b(call_id.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()[:9]


def _without_thought_beside_text(message: Wire) -> Wire:
    if not (message.get("tool_calls") and message.get("content")):
        return message
    return {name: value for name, value in message.items() if name not in _THOUGHTS}
