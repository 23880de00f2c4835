"""Gives a conversation to AutoGen's agents: the task as a message, the earlier turns as their memory.

AutoGen treats every task message as the user's, counts it towards message limits and searches it for termination words.
So only the new question is the task; earlier turns are put into each agent's model context, in their own roles.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from secrets import token_hex
from typing import Final, assert_never

from autogen_agentchat.messages import BaseChatMessage, MultiModalMessage, TextMessage
from autogen_core import FunctionCall, Image
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)

from aiostream_server.intake.question import Turn
from aiostream_server.teams.autogen_private.client_tools import NO_RESULT
from aiostream_server.teams.autogen_private.images import EncodedImage
from aiostream_server.teams.autogen_private.structure import model_contexts

USER: Final = "user"
ASSISTANT: Final = "assistant"


async def task_messages(task: Turn, *, sees_images: bool) -> Sequence[BaseChatMessage]:
    """The question, for `run_stream`."""
    content = _content(task, sees_images)
    if isinstance(content, str):
        return [TextMessage(id=token_hex(16), content=content, source=USER)]  # AutoGen's own id takes 5 us
    return [MultiModalMessage(content=content, source=USER)]


async def remember(team: object, history: Sequence[Turn], *, sees_images: bool) -> None:
    """Put the earlier turns into the model context of every agent that has one."""
    if not history:
        return
    messages = history_messages(history, sees_images)
    for context in _contexts(team):
        for message in messages:
            await context.add_message(message)


async def replace_systems(team: object, systems: Sequence[Turn]) -> None:
    """Replace the system messages of a restored team by those of this request."""
    new = [message.model_dump() for message in history_messages(systems, sees_images=False)]
    for context in _contexts(team):
        state = dict(await context.save_state())
        others = [message for message in state.get("messages", ()) if message.get("type") != "SystemMessage"]
        await context.load_state({**state, "messages": [*new, *others]})


def _contexts(team: object) -> Iterable[ChatCompletionContext]:
    """Each once: agents may share one."""
    return {id(context): context for context in model_contexts(team)}.values()


def history_messages(history: Sequence[Turn], sees_images: bool) -> Sequence[LLMMessage]:
    """The earlier turns in their own roles, without answers that were stopped before their first word.

    The results of calls that were made together are one message. A call without a result gets one that says so: users
    go on without waiting, and providers refuse a call without a result.
    """
    messages: list[LLMMessage] = []
    turns = deque(history)
    while turns:
        turn = turns.popleft()
        match turn.role:
            case "system":
                messages.append(SystemMessage(content=turn.text))
            case "user":
                messages.append(UserMessage(content=_content(turn, sees_images), source=USER))
            case "assistant" if turn.tool_calls:
                messages += _calls_and_results(turn, turns)
            case "assistant" if not turn.is_blank_answer:
                messages.append(AssistantMessage(content=turn.text, source=ASSISTANT))
            case "assistant" | "tool":  # a result behind its calls was read with them
                pass
            case _:
                assert_never(turn.role)
    return messages


def _calls_and_results(turn: Turn, following: deque[Turn]) -> Iterator[LLMMessage]:
    """Takes the results off the turns that follow."""
    calls = [FunctionCall(id=call.call_id, name=call.name, arguments=call.arguments) for call in turn.tool_calls]
    yield AssistantMessage(content=calls, thought=turn.text or None, source=ASSISTANT)
    told: dict[str | None, str] = {}
    while following and following[0].role == "tool":
        result = following.popleft()
        told[result.call_id] = result.text
    results = [
        FunctionExecutionResult(content=told.get(call.id, NO_RESULT), name=call.name, call_id=call.id) for call in calls
    ]
    yield FunctionExecutionResultMessage(content=results)


def _content(turn: Turn, sees_images: bool) -> str | list[str | Image]:
    """Text, or text and images; for a model without vision, a note in place of each image."""
    if not turn.images:
        return turn.text
    text = [turn.text] if turn.text.strip() else []  # providers refuse an empty part
    if sees_images:
        return [*text, *(EncodedImage(image.base64, image.media_type) for image in turn.images)]
    notes = "\n".join(f"[an image ({image.media_type}) that this model cannot see]" for image in turn.images)
    return "\n\n".join([*text, notes])
