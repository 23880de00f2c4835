"""SQLAgent: a model with two tools, of which it may use one.

`schema` is answered here and now. `query` is not executed: it ends the agent's turn as a `QueryDraft`, for the guard
to judge; the verdict or the rows come back to the model, in its next turn, as the result of that very tool call.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_agentchat.state import AssistantAgentState
from autogen_core import CancellationToken, FunctionCall
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
)
from autogen_core.tools import ToolSchema

from aiostream_server.teams.data.hearing import hear
from aiostream_server.teams.data.messages import QueryDraft
from aiostream_server.teams.data.tools import QUERY, SCHEMA, tool_schemas
from aiostream_server.teams.resume import USER
from aiostream_server.tools.sql.database import Database

_MAX_MODEL_CALLS: Final = 8
_PROMPT: Final = (
    "You answer questions about data by drafting SQL. First call `schema` to read the tables, unless you have read "
    "them in this conversation; then call `query` with exactly one read-only SELECT statement in the database's own "
    "dialect. The query is checked before it runs; if it is blocked, fails or is not wanted, you are told why and may "
    "call `query` again, corrected. A question may build on earlier ones. Say in one short sentence what you "
    "are going to look up before you call a tool. Select only what answers the question; aggregate in SQL; name "
    "columns clearly. If the question cannot be answered from these tables, say so in plain words without a tool call."
)

_Said = BaseAgentEvent | BaseChatMessage | Response


class SqlDrafter(BaseChatAgent):
    """Drafts queries; has no way to run one. Attempts are counted from each message of the user's."""

    def __init__(self, name: str, *, model_client: ChatCompletionClient, databases: Mapping[str, Database]) -> None:
        super().__init__(name, description="Drafts SQL queries against the real schema.")
        self.model_context: ChatCompletionContext = UnboundedChatCompletionContext()
        self._model_client = model_client
        self._databases = databases
        self._tools: Sequence[ToolSchema] = tool_schemas(databases)
        self._attempts = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (QueryDraft, TextMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        async for said in self.on_messages_stream(messages, cancellation_token):
            if isinstance(said, Response):
                return said
        raise AssertionError("a turn always ends with a response")

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[_Said, None]:
        if any(message.source == USER for message in messages):
            self._attempts = 0
        await hear(self.model_context, messages)
        for _ in range(_MAX_MODEL_CALLS):
            result = await self._ask(cancellation_token)
            if result.thought:
                yield ThoughtEvent(content=result.thought, source=self.name)
            if isinstance(result.content, str):
                yield Response(chat_message=TextMessage(content=result.content, source=self.name))
                return
            yield ToolCallRequestEvent(content=result.content, source=self.name, models_usage=result.usage)
            draft, answers = await self._answer(result.content)
            if answers:
                await self.model_context.add_message(FunctionExecutionResultMessage(content=answers))
                yield ToolCallExecutionEvent(content=answers, source=self.name, metadata=_about(answers))
            if draft is not None:
                yield Response(chat_message=draft)
                return
        gave_up = f"I stopped after {_MAX_MODEL_CALLS} attempts without a query."
        yield Response(chat_message=TextMessage(content=gave_up, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        await self.model_context.clear()
        self._attempts = 0

    async def save_state(self) -> Mapping[str, Any]:
        """What the model remembers."""
        return AssistantAgentState(llm_context=await self.model_context.save_state()).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        await self.model_context.load_state(AssistantAgentState.model_validate(state).llm_context)

    async def _ask(self, cancellation_token: CancellationToken) -> CreateResult:
        prompt: list[LLMMessage] = [SystemMessage(content=_PROMPT), *await self.model_context.get_messages()]
        result = await self._model_client.create(prompt, tools=self._tools, cancellation_token=cancellation_token)
        await self.model_context.add_message(
            AssistantMessage(content=result.content, thought=result.thought, source=self.name)
        )
        return result

    async def _answer(self, calls: Sequence[FunctionCall]) -> tuple[QueryDraft | None, list[FunctionExecutionResult]]:
        """The first well-formed `query` call becomes the draft; every other call is answered now."""
        draft: QueryDraft | None = None
        answers: list[FunctionExecutionResult] = []
        for call in calls:
            try:
                arguments = parse_arguments(call)
                if call.name == QUERY and draft is None:
                    draft = self._draft(call, arguments)
                    continue
                content, is_error = await self._run_tool(call, arguments), False
            except ValueError as exc:
                content, is_error = str(exc), True
            answers.append(FunctionExecutionResult(content=content, name=call.name, call_id=call.id, is_error=is_error))
        return draft, answers

    def _draft(self, call: FunctionCall, arguments: Mapping[str, Any]) -> QueryDraft:
        sql = arguments.get("sql")
        if not isinstance(sql, str) or not sql.strip():
            raise ValueError('The tool query needs {"sql": "SELECT ..."}.')
        database = self._database_of(arguments)
        self._attempts += 1
        return QueryDraft(
            content=sql, source=self.name, call_id=call.id, database=database.name, attempt=self._attempts
        )

    async def _run_tool(self, call: FunctionCall, arguments: Mapping[str, Any]) -> str:
        if call.name == QUERY:
            raise ValueError("One query at a time: call query again once the first has been answered.")
        if call.name != SCHEMA:
            raise ValueError(f"There is no tool {call.name!r}; there are {SCHEMA} and {QUERY}.")
        schema = await self._database_of(arguments).schema()
        return schema.describe()

    def _database_of(self, arguments: Mapping[str, Any]) -> Database:
        name = arguments.get("database") or next(iter(self._databases))
        if not isinstance(name, str) or name not in self._databases:
            raise ValueError(f"There is no database {name!r}; there are {', '.join(self._databases)}.")
        return self._databases[name]


def parse_arguments(call: FunctionCall) -> Mapping[str, Any]:
    """Raises `ValueError`, with a line for the model."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"The arguments of {call.name} are not JSON: {exc}.") from exc
    if not isinstance(arguments, dict):
        raise ValueError(f"The arguments of {call.name} must be a JSON object.")
    return arguments


def _about(answers: Sequence[FunctionExecutionResult]) -> dict[str, str]:
    """A few words for the one schema that was read, for people; see `runs.translate`."""
    if len(answers) != 1 or answers[0].is_error:
        return {}
    tables = answers[0].content.count("CREATE ")
    return {"summary": f"schema: {tables} table{'' if tables == 1 else 's'}"}
