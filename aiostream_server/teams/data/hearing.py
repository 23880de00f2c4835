"""What SQLAgent's model is told of the others' messages.

A model's API wants a tool call answered before anything else is said. So what became of a draft is the result of the
model's own call, whatever was said in between: the guard's reason, the rows, or that the query was not run.
"""

from collections.abc import Sequence
from typing import Final

from autogen_agentchat.messages import BaseChatMessage, HandoffMessage
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
)

from aiostream_server.teams.data.messages import QueryOutcome, Verdict
from aiostream_server.teams.data.tools import QUERY

_NOT_WANTED: Final = "Not run: the user did not agree to it."
_ENDED: Final = "Not run: the work was ended before."


async def hear(context: ChatCompletionContext, messages: Sequence[BaseChatMessage]) -> None:
    """Put the messages into the model's context; a query call that is still open gets its answer first."""
    open_call = open_query(await context.get_messages())
    waiting: list[BaseChatMessage] = []
    for message in messages:
        match message:
            case Verdict(approved=False) | QueryOutcome():
                if message.call_id == open_call:
                    await context.add_message(_result(message))
                    open_call = None
                    waiting.clear()  # a person's yes, which has had its effect
            case Verdict() | HandoffMessage():
                pass  # an approval, and the question to a person that may follow it: the answer says what came of it
            case _ if open_call is not None:
                waiting.append(message)
            case _:
                await context.add_message(message.to_model_message())
    if open_call is not None and waiting:
        was_asked = any(isinstance(message, HandoffMessage) for message in messages)
        await context.add_message(_as_result(open_call, _NOT_WANTED if was_asked else _ENDED, is_error=True))
        for message in waiting:
            await context.add_message(message.to_model_message())


def open_query(messages: Sequence[LLMMessage]) -> str | None:
    """The id of the query call that waits for its answer. Ids may come again: only the last calls can be open."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, FunctionExecutionResultMessage):
            answered |= {result.call_id for result in message.content}
        elif isinstance(message, AssistantMessage):
            calls = () if isinstance(message.content, str) else message.content
            return next((call.id for call in calls if call.name == QUERY and call.id not in answered), None)
    return None


def _result(message: Verdict | QueryOutcome) -> LLMMessage:
    if isinstance(message, Verdict):
        return _as_result(message.call_id, f"Blocked, not run: {message.reason}", is_error=True)
    return _as_result(message.call_id, message.content, is_error=message.failed)


def _as_result(call_id: str, content: str, *, is_error: bool) -> LLMMessage:
    result = FunctionExecutionResult(content=content, name=QUERY, call_id=call_id, is_error=is_error)
    return FunctionExecutionResultMessage(content=[result])
