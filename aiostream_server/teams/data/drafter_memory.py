"""The memory of SQLAgent's model: messages of the other agents as results of its own calls, and what it was asked."""

from collections.abc import Sequence
from typing import Final

from autogen_agentchat.messages import BaseChatMessage, HandoffMessage
from autogen_core import FunctionCall
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)

from aiostream_server.teams.data.agent_bases import parse_arguments
from aiostream_server.teams.data.messages import QUERY, QueryOutcome, Verdict
from aiostream_server.teams.resume import USER
from aiostream_server.tools.sql.schema_choice.asked_so_far import AskedSoFar

_MOST_STATEMENTS: Final = 5
_NOT_WANTED: Final = "Not run: the user did not agree to it."
_ENDED: Final = "Not run: the work was ended before."


def asked_so_far(messages: Sequence[LLMMessage], database: str) -> AskedSoFar:
    """The user's questions in the model's memory, and the queries on this database that were drafted for them."""
    questions: list[str] = []
    statements: list[str] = []
    for message in messages:
        if isinstance(message, UserMessage) and message.source == USER:
            parts = [message.content] if isinstance(message.content, str) else message.content
            questions.append(" ".join(part for part in parts if isinstance(part, str)))
        elif isinstance(message, AssistantMessage) and not isinstance(message.content, str):
            statements += [sql for call in message.content if (sql := _statement(call, database))]
    return AskedSoFar(questions, statements[-_MOST_STATEMENTS:])


def _statement(call: FunctionCall, database: str) -> str:
    """The SQL of a call of `query` for this database; else empty."""
    try:
        arguments = parse_arguments(call)
    except ValueError:
        return ""
    sql = arguments.get("sql")
    return (
        sql if call.name == QUERY and isinstance(sql, str) and arguments.get("database", database) == database else ""
    )


async def add_to_memory(context: ChatCompletionContext, messages: Sequence[BaseChatMessage]) -> None:
    """Add the messages of the other agents to the memory of SQLAgent's model.

    A model's API wants a tool call answered before any other message. So the outcome of a draft becomes the result of
    the model's own `query` call, whatever came in between: the guard's reason, the rows, or that it did not run.
    """
    open_call = open_query(await context.get_messages())
    waiting: list[BaseChatMessage] = []
    for message in messages:
        match message:
            case Verdict(approved=False) | QueryOutcome():
                if message.call_id == open_call:
                    await context.add_message(_outcome(message))
                    open_call = None
                    waiting.clear()  # the user's yes, which has been acted upon
            case Verdict() | HandoffMessage():
                pass  # an approval, and perhaps the question to the user: the result of the call tells the outcome
            case _ if open_call is not None:
                waiting.append(message)
            case _:
                await context.add_message(message.to_model_message())
    if open_call is not None and waiting:
        was_asked = any(isinstance(message, HandoffMessage) for message in messages)
        await context.add_message(_result(open_call, _NOT_WANTED if was_asked else _ENDED, is_error=True))
        for message in waiting:
            await context.add_message(message.to_model_message())


def open_query(messages: Sequence[LLMMessage]) -> str | None:
    """The id of the `query` call without a result. Models may reuse ids, so only the last calls count."""
    answered: set[str] = set()
    for message in reversed(messages):
        if isinstance(message, FunctionExecutionResultMessage):
            answered |= {result.call_id for result in message.content}
        elif isinstance(message, AssistantMessage):
            calls = () if isinstance(message.content, str) else message.content
            return next((call.id for call in calls if call.name == QUERY and call.id not in answered), None)
    return None


def _outcome(message: Verdict | QueryOutcome) -> LLMMessage:
    if isinstance(message, Verdict):
        return _result(message.call_id, f"Blocked, not run: {message.reason}", is_error=True)
    return _result(message.call_id, message.content, is_error=message.failed)


def _result(call_id: str, content: str, *, is_error: bool) -> LLMMessage:
    result = FunctionExecutionResult(content=content, name=QUERY, call_id=call_id, is_error=is_error)
    return FunctionExecutionResultMessage(content=[result])
