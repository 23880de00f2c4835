"""AG-UI's `RunAgentInput`: https://docs.ag-ui.com/sdk/js/core/types

The thread is the conversation. A page sends all of its messages, and among them the calls of the team's own tools,
which are not read again: only calls of the `tools` that it sends are the client's. The same input is the same run.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Annotated, Any, Final, assert_never

import msgspec
from pydantic import ConfigDict, FailFast, Field, WithJsonSchema

from aiostream_server.config.model import OnDisconnect
from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.body import Shape, parse_body
from aiostream_server.intake.client_tools import ClientTool
from aiostream_server.intake.conversation import Conversation, ConversationName
from aiostream_server.intake.json_text import dump, encode
from aiostream_server.intake.question import ToolCall, Turn, question_of
from aiostream_server.intake.undecorate import undecorate
from aiostream_server.protocols.ag_ui.interrupts import AGUIResume, asking_run, reply_of
from aiostream_server.protocols.ag_ui.messages import (
    MESSAGE_SCHEMA,
    AGUIAssistantMessage,
    AGUIImagePart,
    AGUIMessage,
    AGUIOtherMessage,
    AGUISystemMessage,
    AGUITextPart,
    AGUIToolMessage,
    AGUIUserMessage,
)
from aiostream_server.protocols.ag_ui.thread import ThreadMessage, kept_state, new_messages
from aiostream_server.protocols.dialect import Asked
from aiostream_server.protocols.json_schema import messages_schema

_MESSAGES: Final = messages_schema(MESSAGE_SCHEMA)


class AGUITool(Shape):
    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    parameters: dict[str, Any] | None = None


class AGUIContext(Shape):
    description: str
    value: str


class AGUIForwardedProps(Shape):
    """What this server takes of them."""

    on_disconnect: OnDisconnect | None = None


class RunAgentInput(Shape):
    """Other fields are ignored."""

    model_config = ConfigDict(title="RunAgentInput")

    thread_id: Annotated[ConversationName, Field(alias="threadId")]
    run_id: Annotated[str, Field(min_length=1, max_length=255, alias="runId")]
    messages: Annotated[tuple[AGUIMessage, ...], Field(strict=False), FailFast(), WithJsonSchema(_MESSAGES)]
    tools: Annotated[tuple[AGUITool, ...], Field(strict=False), FailFast()] = ()
    context: Annotated[tuple[AGUIContext, ...], Field(strict=False), FailFast()] = ()
    state: Any = None  # the page's, any JSON
    resume: Annotated[tuple[AGUIResume, ...], Field(strict=False, max_length=1), FailFast()] = ()
    forwarded_props: Annotated[AGUIForwardedProps, Field(alias="forwardedProps")] = AGUIForwardedProps()


@dataclass(frozen=True, slots=True)
class ThreadOptions:
    """The client's names, which its events repeat; the messages that the question adds to the thread, and the state
    that the page shares (None: nothing), which a page that comes back is told again."""

    thread_id: str = ""
    run_id: str = ""
    messages: tuple[ThreadMessage, ...] = ()
    state: Any = None  # the page's, any JSON


def read_input(raw: bytes, model: str | None) -> Asked[ThreadOptions]:
    """The path names the model."""
    body = parse_body(raw, RunAgentInput)
    turns = [turn for message in body.messages for turn in _turns(message, {tool.name for tool in body.tools})]
    turns += [Turn("user", reply_of(resume)) for resume in body.resume]
    if not turns:
        raise InvalidRequest("messages must contain at least one user message", param="messages")
    if told := _told_beside(body):
        turns = [Turn("system", told), *turns]
    tools = (ClientTool(tool.name, tool.description, tool.parameters) for tool in body.tools)
    options = ThreadOptions(body.thread_id, body.run_id, new_messages(body.messages), kept_state(body.state))
    return Asked(
        model or "",
        replace(question_of(_without_open_calls(turns), {}, None), client_tools=tuple(tools)),
        "stream",
        options,
        body.forwarded_props.on_disconnect,
        Conversation(body.thread_id, resends=False),
        sha256(raw).hexdigest(),
        msgspec.json.encode(options),
        replies_to=asking_run(body.resume[0]) if body.resume else None,
    )


def _told_beside(body: RunAgentInput) -> str:
    """The context, and the state that the page shares, as text for the agents."""
    lines = [f"{each.description}: {each.value}" for each in body.context]
    if body.state:
        lines.append(f"The state of the application, as JSON: {dump(body.state).decode()}")
    return "\n".join(lines)


def kept_options(kept: bytes) -> ThreadOptions:
    """The options that the run was asked with."""
    return msgspec.json.decode(kept, type=ThreadOptions)


def _turns(message: AGUIMessage, tools: Collection[str]) -> Iterator[Turn]:
    match message:
        case AGUISystemMessage():
            yield Turn("system", message.content)
        case AGUIUserMessage():
            texts = (part.text for part in message.content if isinstance(part, AGUITextPart))
            images = tuple(part.source for part in message.content if isinstance(part, AGUIImagePart))
            yield Turn("user", "\n".join(texts), images)
        case AGUIAssistantMessage():
            calls = (call for call in message.tool_calls if call.function.name in tools)
            called = tuple(ToolCall(call.id, call.function.name, call.function.arguments) for call in calls)
            if called or message.content.strip():
                yield Turn("assistant", undecorate(message.content), tool_calls=called)
        case AGUIToolMessage():
            content = message.content if isinstance(message.content, str) else encode(message.content)
            yield Turn("tool", message.error or content, call_id=message.tool_call_id)
        case AGUIOtherMessage():
            pass
        case _:
            assert_never(message)


def _without_open_calls(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """Drop calls without a result, and results without a call: model providers refuse them."""
    called = {call.call_id for turn in turns for call in turn.tool_calls}
    answered = {turn.call_id for turn in turns if turn.role == "tool"} & called
    kept: list[Turn] = []
    for turn in turns:
        calls = tuple(call for call in turn.tool_calls if call.call_id in answered)
        if turn.role == "tool" and turn.call_id not in answered:
            continue
        if turn.tool_calls and not calls and not turn.text:
            continue
        kept.append(turn._replace(tool_calls=calls))
    return tuple(kept)
