"""What `useChat` sends: https://ai-sdk.dev/docs/ai-sdk-ui/transport

`{id, messages, trigger, messageId}`. The chat's `id` names the conversation. An app may send only its last message, as
`message` or as the only one of `messages`: the earlier ones are then those that the server remembers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Annotated, Final, assert_never

import msgspec
from pydantic import ConfigDict, Field, WithJsonSchema
from pydantic.config import JsonDict

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import Shape, parse_body
from aiostream_server.intake.client_tools import ClientTool
from aiostream_server.intake.conversation import Conversation, ConversationName
from aiostream_server.intake.json_text import encode
from aiostream_server.intake.question import ToolCall, Turn, question_of
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.protocols.ai_sdk.approval import AnsweredApproval, answered_now, reply_of
from aiostream_server.protocols.ai_sdk.messages import (
    UI_MESSAGE_SCHEMA,
    UIAssistantMessage,
    UIClientTool,
    UIFilePart,
    UIMessage,
    UISystemMessage,
    UITextPart,
    UIToolPart,
    UIUserMessage,
)
from aiostream_server.protocols.chat.messages import NonEmpty
from aiostream_server.protocols.dialect import Asked
from aiostream_server.protocols.json_schema import messages_schema, ref

_REGENERATE: Final = "regenerate-message"
_HAS_RESULT: Final = ("output-available", "output-error")
_MESSAGE: Final = {"anyOf": [ref("UIUserMessage")]}


def _having(field: str, kind: str) -> JsonDict:
    return {"required": [field], "properties": {field: {"type": kind}}}


class UIChatRequest(Shape):
    """Has `messages` or, of a page that sends only the last one, `message`."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_having("messages", "array"), _having("message", "object")]})

    id: ConversationName | None = None
    messages: Annotated[NonEmpty[UIMessage], WithJsonSchema(messages_schema(UI_MESSAGE_SCHEMA))] = ()
    message: Annotated[UIMessage | None, WithJsonSchema(_MESSAGE)] = None
    trigger: str = ""
    message_id: Annotated[str, Field(alias="messageId")] = ""
    system: str = ""
    tools: dict[Annotated[str, Field(min_length=1)], UIClientTool] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class UIMessageOptions:
    """`message_id` is that of the assistant's message which the answer continues; empty for a new message."""

    message_id: str = ""
    approval: AnsweredApproval | None = None


def read_request(raw: bytes, model: str | None) -> Asked[UIMessageOptions]:
    """The path names the model."""
    body = parse_body(raw, UIChatRequest)
    sent = body.messages or (() if body.message is None else (body.message,))
    if not sent:
        raise InvalidRequest("messages: is required; or `message`, the last one", param="messages")
    if sent[-1].role == "user" and not any(isinstance(part, UIFilePart) or _is_said(part) for part in sent[-1].parts):
        raise InvalidRequest("the parts of the last message hold neither words nor a picture", param="messages")
    turns = [turn for message in sent for turn in _turns(message)]
    is_chained = sent[0].role == "assistant"  # the server remembers what was said before it
    if is_chained:
        turns = _new_turns(turns)
    if body.system.strip():
        turns = [Turn("system", body.system), *turns]
    options = _options(sent[-1])
    kept = b"" if options == UIMessageOptions() else msgspec.json.encode(options)
    talk = None if body.id is None else Conversation(body.id, resends=_begins_anew(body, turns))
    tools = (ClientTool(name, tool.description, tool.parameters) for name, tool in body.tools.items())
    question = question_of(tuple(turns), {}, None, is_chained=is_chained)
    question = replace(question, client_tools=tuple(tools))
    return Asked(model or "", question, "stream", options, conversation=talk, kept=kept)


def kept_options(kept: bytes) -> UIMessageOptions:
    """The options that the run was asked with."""
    return msgspec.json.decode(kept, type=UIMessageOptions) if kept else UIMessageOptions()


def _begins_anew(body: UIChatRequest, turns: Sequence[Turn]) -> bool:
    """A first question that replaces another. Any other without earlier turns continues what the server remembers."""
    if not body.messages or any(turn.role == "assistant" for turn in turns):
        return False
    return body.trigger == _REGENERATE or (bool(body.message_id) and body.messages[-1].role == "user")


def _new_turns(turns: Sequence[Turn]) -> list[Turn]:
    """What an assistant's message that is sent alone adds: the user's reply in it, or the results of its last calls."""
    start = next((index for index, turn in enumerate(turns) if turn.role == "user"), None)
    if start is not None:
        return list(turns[start:])
    return list(takewhile(lambda turn: turn.role == "tool", reversed(turns)))[::-1]


def _options(last: UIMessage) -> UIMessageOptions:
    if not isinstance(last, UIAssistantMessage):
        return UIMessageOptions()
    approvals = [answered for part in last.parts if isinstance(part, UIToolPart) and (answered := answered_now(part))]
    return UIMessageOptions(last.id, approvals[-1] if approvals else None)


def _turns(message: UIMessage) -> Iterator[Turn]:
    match message:
        case UISystemMessage():
            yield Turn("system", _text(message.parts))
        case UIUserMessage():
            images = tuple(part.url for part in message.parts if isinstance(part, UIFilePart))
            yield Turn("user", _text(message.parts), images)
        case UIAssistantMessage():
            yield from _assistant_turns(message)
        case _:
            assert_never(message)


def _assistant_turns(message: UIAssistantMessage) -> Iterator[Turn]:
    """A page appends an answer that continues one to the same message: the turns are told apart again.

    A call of the page's own that has no result is left out: a provider of models would refuse it.
    """
    said: list[str] = []
    calls: list[UIToolPart] = []
    for part in message.parts:
        if calls and not isinstance(part, UIToolPart):
            yield from _with_results(said, calls)
            said, calls = [], []
        if isinstance(part, UITextPart):
            said.append(part.text)
        elif isinstance(part, UIToolPart) and (reply := reply_of(part)) is not None:
            yield from (_said(said), Turn("user", reply))
            said = []
        elif isinstance(part, UIToolPart) and not part.provider_executed and part.state in _HAS_RESULT:
            calls.append(part)
    if calls:
        yield from _with_results(said, calls)
    elif said:
        yield _said(said)


def _with_results(said: Sequence[str], calls: Sequence[UIToolPart]) -> Iterator[Turn]:
    yield _said(said, tuple(ToolCall(call.tool_call_id, call.name, encode(call.input)) for call in calls))
    for call in calls:
        result = call.output if isinstance(call.output, str) else encode(call.output)
        yield Turn("tool", call.error_text or result, call_id=call.tool_call_id)


def _said(texts: Sequence[str], calls: tuple[ToolCall, ...] = ()) -> Turn:
    return Turn("assistant", undecorate("\n\n".join(texts)), tool_calls=calls)


def _is_said(part: object) -> bool:
    return isinstance(part, UITextPart) and bool(part.text.strip())


def _text(parts: Sequence[object]) -> str:
    return "\n".join(part.text for part in parts if isinstance(part, UITextPart))
