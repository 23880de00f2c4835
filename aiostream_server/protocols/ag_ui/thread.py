"""What a page that comes back to a thread is told beside the events of its runs.

Each run keeps the messages that its question added to the thread, and repeats them in `RUN_STARTED`. Of runs that are
kept no longer the conversation's memory has the messages: `MESSAGES_SNAPSHOT`, in a run of its own.
https://docs.ag-ui.com/concepts/serialization
"""

import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias, assert_never

from aiostream_server.intake.json_text import encode
from aiostream_server.intake.question import ToolCall, Turn
from aiostream_server.protocols.ag_ui.messages import (
    AGUIAssistantMessage,
    AGUIMessage,
    AGUIOtherMessage,
    AGUISystemMessage,
    AGUITextPart,
    AGUIToolMessage,
    AGUIUserMessage,
)
from aiostream_server.protocols.ag_ui.subagents import AGUIEvent
from aiostream_server.runs.card import RunCard

ThreadMessage: TypeAlias = dict[str, Any]
"""A message of AG-UI, as JSON."""

_OURS: Final = re.compile(r"(run-[\w-]{24}|earlier)-\d+")
_MAX_CHARS: Final = 64 * 1024  # of the messages that a run keeps, and of the page's state
_EARLIER: Final = "earlier"


def new_messages(messages: Sequence[AGUIMessage]) -> tuple[ThreadMessage, ...]:
    """Those that no stream has told the page: behind the last one of a run. Without pictures; of long ones the
    beginning."""
    told = max((place for place, message in enumerate(messages, 1) if _OURS.fullmatch(message.id)), default=0)
    kept: list[ThreadMessage] = []
    room = _MAX_CHARS
    for message in reversed(messages[told:]):
        if room > 0 and message.id and (shown := _shown(message, room)) is not None:
            room -= len(encode(shown))
            kept.insert(0, shown)
    return tuple(kept)


def kept_state(state: object) -> object:
    """What the page shares, if it is anything, and small enough to be kept; else None."""
    return state if state and len(encode(state)) <= _MAX_CHARS else None


def asked_elsewhere(card: RunCard) -> tuple[ThreadMessage, ...]:
    """The question of a run that another protocol was asked for."""
    return ({"id": f"{card.id}-question", "role": "user", "content": card.question},) if card.question else ()


def question_in(messages: Sequence[ThreadMessage]) -> str:
    """The words of the user's last message; empty where there is none."""
    return next((message["content"] for message in reversed(messages) if message["role"] == "user"), "")


def earlier_turns(turns: Sequence[Turn], questions: Sequence[str]) -> Sequence[Turn]:
    """The remembered `turns` before the runs that asked these `questions` (empty for one without words).

    A run that failed, or has not ended, is not remembered. Each other one has added one turn of the user's.
    """
    asked = [place for place, turn in enumerate(turns) if turn.role == "user"]
    asked = asked[max(len(asked) - len(questions), 0) :]
    for question in filter(None, questions):
        for place in asked:
            if turns[place].text.startswith(question.removesuffix("…")):  # of a long one the beginning is kept
                return turns[:place]
    return turns


def remembered(thread: str, turns: Sequence[Turn]) -> Sequence[AGUIEvent]:
    """The events of a run that tells these turns, and nothing else."""
    named = {"threadId": thread, "runId": _EARLIER}
    messages = [_message(turn, f"{_EARLIER}-{number}") for number, turn in enumerate(turns, 1)]
    return (
        {"type": "RUN_STARTED", **named},
        {"type": "MESSAGES_SNAPSHOT", "messages": messages},
        {"type": "RUN_FINISHED", **named, "outcome": {"type": "success"}},
    )


def _message(turn: Turn, message_id: str) -> ThreadMessage:
    message = {"id": message_id, "role": turn.role, "content": turn.text}
    if turn.call_id is not None:
        return message | {"toolCallId": turn.call_id}
    return message | {"toolCalls": [_call(call) for call in turn.tool_calls]} if turn.tool_calls else message


def _shown(message: AGUIMessage, most_chars: int) -> ThreadMessage | None:
    """None for what only the page itself shows."""
    named: ThreadMessage = {"id": message.id, "role": message.role}
    match message:
        case AGUISystemMessage():
            return named | {"content": message.content[:most_chars]}
        case AGUIUserMessage():
            texts = [part.text for part in message.content if isinstance(part, AGUITextPart)]
            return named | {"content": "\n".join(texts)[:most_chars]}
        case AGUIAssistantMessage():
            calls = [
                _call(ToolCall(call.id, call.function.name, call.function.arguments)) for call in message.tool_calls
            ]
            called = {"toolCalls": calls} if calls else {}
            return named | {"content": message.content[:most_chars]} | called
        case AGUIToolMessage():
            content = message.content if isinstance(message.content, str) else encode(message.content)
            error = {"error": message.error[:most_chars]} if message.error else {}
            return named | {"toolCallId": message.tool_call_id, "content": content[:most_chars]} | error
        case AGUIOtherMessage():
            return None
        case _:
            assert_never(message)


def _call(call: ToolCall) -> dict[str, Any]:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.call_id, "type": "function", "function": function}
