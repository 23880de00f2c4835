"""A conversation -> what AutoGen's agents are given: the task as a message, the earlier turns as their memory.

AutoGen makes a user's words of every task message, whoever said it, counts them towards its message limits, and looks
in them for termination words. So only the new question is the task; what came before is put into each agent's model
context, with its own roles.
"""

import base64
import io
from collections.abc import Sequence

import PIL.Image
from autogen_agentchat.messages import BaseChatMessage, MultiModalMessage, TextMessage
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from aiostream_server.errors import InvalidRequest
from aiostream_server.intake.question import ImagePart, Turn
from aiostream_server.teams.inside import model_contexts

USER = "user"
ASSISTANT = "assistant"


def task_messages(task: Turn, *, sees_images: bool) -> Sequence[BaseChatMessage]:
    """The question, for `run_stream`."""
    content = _content(task, sees_images)
    if isinstance(content, str):
        return [TextMessage(content=content, source=USER)]
    return [MultiModalMessage(content=content, source=USER)]


async def remember(team: object, history: Sequence[Turn], *, sees_images: bool) -> None:
    """Put the earlier turns into the memory of every agent that has one."""
    if not history:
        return
    messages = history_messages(history, sees_images=sees_images)
    for context in model_contexts(team):
        for message in messages:
            await context.add_message(message)


def history_messages(history: Sequence[Turn], *, sees_images: bool) -> Sequence[LLMMessage]:
    """The earlier turns in their own roles."""
    names = {call.call_id: call.name for turn in history for call in turn.tool_calls}
    messages: list[LLMMessage] = []
    for turn in history:
        match turn.role:
            case "system":
                messages.append(SystemMessage(content=turn.text))
            case "user":
                messages.append(UserMessage(content=_content(turn, sees_images), source=USER))
            case "assistant":
                messages.append(_assistant_message(turn))
            case "tool":
                call_id = turn.call_id or ""
                result = FunctionExecutionResult(content=turn.text, name=names.get(call_id, ""), call_id=call_id)
                messages.append(FunctionExecutionResultMessage(content=[result]))
    return messages


def _assistant_message(turn: Turn) -> AssistantMessage:
    if not turn.tool_calls:
        return AssistantMessage(content=turn.text, source=ASSISTANT)
    calls = [FunctionCall(id=call.call_id, name=call.name, arguments=call.arguments) for call in turn.tool_calls]
    return AssistantMessage(content=calls, thought=turn.text or None, source=ASSISTANT)


def _content(turn: Turn, sees_images: bool) -> str | list[str | Image]:
    """Text, or text and images; for a model that is blind, a word in each image's place."""
    if not turn.images:
        return turn.text
    if sees_images:
        return [turn.text, *(_decode(image) for image in turn.images)]
    notes = "\n".join(f"[an image ({image.media_type}) that this model cannot see]" for image in turn.images)
    return f"{turn.text}\n\n{notes}"


def _decode(image: ImagePart) -> Image:
    try:
        return Image(PIL.Image.open(io.BytesIO(base64.b64decode(image.base64))))
    except (OSError, ValueError) as exc:
        raise InvalidRequest(f"the image ({image.media_type}) cannot be read: it is damaged") from exc
