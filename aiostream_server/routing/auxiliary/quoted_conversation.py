"""Finds the conversation in what a chat app sends: labelled lines, a frame of tags or a fence, JSON, or plain text."""

import json
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Final

from aiostream_server.intake.undecorate import undecorate
from aiostream_server.routing.auxiliary import vocabulary as words
from aiostream_server.routing.auxiliary.instructions import wanted_by
from aiostream_server.routing.auxiliary.kinds import Auxiliary, Said

_READ_CHARS: Final = 12_000
_SHORT_CHARS: Final = 500
_INTRODUCTION_CHARS: Final = 25
_USER: Final = (
    r"user|human|you|用户|使用者|ユーザー|사용자|benutzer|utilisateur|usuario|utente|usuário|пользователь|question|q"
)
_AI: Final = (
    r"assistant|ai|bot|model|chatgpt|gpt|gemini|claude|"
    r"助手|アシスタント|어시스턴트|assistent|asistente|ассистент|system|response|answer|a"
)
_LABEL: Final = re.compile(
    rf"^[ \t]{{0,12}}(?:\|\|>|[-*>]\s{{1,2}}|\[|\*\*|<|\d{{1,2}}[.)]\s)?(?:(?P<user>{_USER})|(?P<ai>{_AI}))"
    r"(?:'s)?(?: ?(?:message|query|question|input|said|says|问题|消息|输入))?(?:\]|\*\*|>)?"
    r"\s{0,2}[:：](?:\*\*)?[ \t]*\n?",
    re.IGNORECASE | re.MULTILINE,
)
_OPENING: Final = re.compile(
    r"<(?P<tag>(?:chat_?|user_)?(?:history|conversation|messages?|transcript|dialog(?:ue)?|chat|text|context|content|input))>"
    r"|\[(?P<bracket>\w{1,20}) start\]|^(?P<mark>```|\"\"\"|'''|-{5,}|={5,})\w{0,20}[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_MAX_OPENINGS: Final = 5
_QUOTED: Final = re.compile(r"(?:[:：.]\s{0,3}|^)[\"“「](?P<inside>[^\"“”「」]{2,4000})[\"”」]", re.MULTILINE)
_INTRODUCED: Final = re.compile(
    r"\b(?:query|message|prompt|question|request|input|text|conversation|content|summari[sz]e)\s{0,2}:[ \t]*"
    r"(?P<inside>\S[^\n]*)",
    re.IGNORECASE,
)
_EXAMPLE: Final = re.compile(r"\bexamples?\b", re.IGNORECASE)
_TAGGED: Final = re.compile(r"<(?P<role>user|human|assistant|ai)\b[^<>]{0,80}>(?P<text>.*?)</(?P=role)>", re.DOTALL)
# LangChain's summary of a conversation that grows, and LibreChat's of a text that is too long.
_RUNNING: Final = re.compile(r"(?:Progressively s|S)ummari[sz]e ")
_NEW_LINES: Final = re.compile(r"\bNew lines(?: of conversation)?:\s")
_CUT_OFF: Final = "The following text is cut-off:\n"
_PARAMETER: Final = re.compile(r"\A(?:language|locale|lang) ?: ?[^\n]{1,40}\Z", re.IGNORECASE)
_BETWEEN: Final = re.compile(r"\n\s*-{5,}\s*\n")
_ROLES: Final = {"user": "USER", "human": "USER", "assistant": "ASSISTANT", "ai": "ASSISTANT"}
_CONDITIONS: Final = (words.BOUND, words.ONLY, words.MARKS)
_TEXT_KEYS: Final = ("content", "mainText", "text", "message", "parts")


def is_transcript(text: str) -> bool:
    """Whether it holds a frame, or lines of both speakers."""
    return _frame(text) is not None or has_both_speakers(text)


def has_both_speakers(text: str) -> bool:
    return len({found.lastgroup for found in _LABEL.finditer(text[:_READ_CHARS])}) > 1


def holds_speech(text: str) -> bool:
    """Whether what was said is marked as such: lines of both speakers, or a message behind a colon."""
    return has_both_speakers(text) or _INTRODUCED.search(text[:_READ_CHARS]) is not None


def holds_history(text: str) -> bool:
    frame = _frame(text)
    return frame is not None and text[frame.start - 1] == ">"


def has_conversation(text: str) -> bool:
    """Whether anything but an instruction is in it."""
    return is_transcript(text) or any(_without_instruction(text[:_READ_CHARS]))


def begins_as_transcript(text: str) -> bool:
    if _LABEL.match(text[:_READ_CHARS]) is not None:
        return True
    opening = _OPENING.match(text)
    return opening is not None and opening["mark"] is None and _frame(text) is not None


def rest_behind_frame(text: str) -> str:
    """What stands behind the conversation's frame; "" where there is none."""
    frame = _frame(text)
    return text[frame.stop :].partition(">" if text.startswith("</", frame.stop) else "\n")[2].strip() if frame else ""


def _frame(text: str) -> slice | None:
    """Where the inside of a frame is: of the first opening that is closed, up to the last closing."""
    text = text[:_READ_CHARS]
    for opening in islice(_OPENING.finditer(text), _MAX_OPENINGS):
        if opening["tag"]:
            closing = f"</{opening['tag']}>"
        else:
            closing = f"[{opening['bracket']} end]" if opening["bracket"] else opening["mark"]
        end = text.rfind(closing)
        if end > opening.end():
            return slice(opening.end(), end)
    return None


def lines_to_add(text: str) -> str:
    """What a running summary is to take in; "" where the text asks for no such summary."""
    text = text.strip()
    if _RUNNING.match(text) and text.endswith("New summary:") and "Current summary:" in text:
        return _NEW_LINES.split(text[-_READ_CHARS:])[-1].removesuffix("New summary:").strip()
    if text.startswith(_CUT_OFF) and text.endswith("Summary:"):
        return text[len(_CUT_OFF) : _READ_CHARS].rpartition("\n\nSummarize ")[0].strip()
    return ""


def is_parameter(text: str) -> bool:
    """`Language: English`, which fills in what a system message instructs."""
    return _PARAMETER.match(text) is not None


def said_in(auxiliary: Auxiliary) -> list[Said]:
    """The conversation that an app asks about, oldest first; empty where none is found."""
    if auxiliary.said:
        return _without_first_instruction(auxiliary.said)
    prompt = lines_to_add(auxiliary.prompt) or auxiliary.prompt
    for text in (auxiliary.system, prompt) if is_parameter(prompt) else (prompt, auxiliary.system):
        if said := _said(text[:_READ_CHARS]):
            return said
    return []


def _without_first_instruction(said: Sequence[Said]) -> list[Said]:
    """opencode's first user message instructs; the conversation comes behind it."""
    first, *others = said
    is_instruction = len(first.text) <= _SHORT_CHARS and wanted_by(first.text, least=0) is not None
    return others if is_instruction and others and others[0].role == "USER" else [*said]


def _said(text: str) -> list[Said]:
    frame = _frame(text)
    inside = "" if frame is None else text[frame].strip()
    for part in (inside, text):
        if part and (said := _as_json(part) or _tagged(part) or _labelled(part)):
            return said
    if inside:
        return [Said("USER", _BETWEEN.split(inside)[0])]
    left = "\n\n".join(_without_instruction(text))
    return [Said("USER", left)] if left else []


def _tagged(text: str) -> list[Said]:
    return [Said(_ROLES[found["role"].lower()], found["text"].strip()) for found in _TAGGED.finditer(text)]


def _labelled(text: str) -> list[Said]:
    labels = [*_LABEL.finditer(text)]
    if not any(label["user"] for label in labels):
        return []
    ends = [label.start() for label in labels[1:]] + [len(text)]
    if _EXAMPLE.search(text, 0, labels[0].start()):  # the last question is the user's
        first = max(index for index, label in enumerate(labels) if label["user"])
        labels, ends = labels[first:], ends[first:]
    said = []
    for label, end in zip(labels, ends, strict=True):
        words_said = _unquoted(text[label.end() : end].strip())
        if label["user"]:
            said.append(Said("USER", words_said))
        else:
            said.append(Said("ASSISTANT", undecorate(words_said) or words_said))
    return said


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] == '"' else text


def _as_json(text: str) -> list[Said]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    messages = found if isinstance(found, list) else [found]
    return [*_messages(messages)] if all(isinstance(message, dict) for message in messages) else []


def _messages(messages: list[dict[str, object]]) -> Iterator[Said]:
    for message in messages:
        role = _ROLES.get(str(message.get("role", "user")).lower())
        value = next((message[key] for key in _TEXT_KEYS if key in message), None)
        if isinstance(value, list):
            value = "\n".join(str(part.get("text", "")) for part in value if isinstance(part, dict))
        if role is not None and isinstance(value, str) and value.strip():
            yield Said(role, value)


def _without_instruction(text: str) -> Iterator[str]:
    """The last quotation in a text without marks; without quotations, the parts that instruct nothing."""
    if quoted := [*_QUOTED.finditer(text)]:
        yield quoted[-1]["inside"]
        return
    for between in ("\n\n", "\n"):
        parts = [part.strip() for part in text.split(between) if part.strip() and not _is_instruction(part)]
        if parts:
            yield from map(_without_introduction, [part for part in parts if part[-1] not in ":："] or parts)
            return
    if introduced := _INTRODUCED.search(text):
        yield introduced["inside"]
        return
    _, _, last = text.strip().rpartition("\n\n")
    if last != text.strip() and not any(part.search(last) for part in _CONDITIONS):
        yield last  # a question that speaks of titles itself


def _without_introduction(part: str) -> str:
    found = _INTRODUCED.search(part)
    return part[found.start("inside") :] if found is not None and found.start() < _INTRODUCTION_CHARS else part


def _is_instruction(paragraph: str) -> bool:
    parts = (*_CONDITIONS, words.CUE, words.TITLE)
    is_about_titles = re.search(r"\btitles?\b|\bconversation\b", paragraph, re.IGNORECASE) is not None
    return sum(part.search(paragraph) is not None for part in parts) + is_about_titles >= 2 or (
        is_about_titles and len(paragraph) < 200
    )
