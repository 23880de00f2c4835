"""SQLAgent: a model that drafts a query with two tools, or three where the schema is large.

`schema` and `tables` are answered at once. `query` is not executed: the call ends the agent's turn as a `QueryDraft`,
which the guard judges. The verdict or the rows come back to the model in its next turn, as the result of that call.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import (
    ChatCompletionClient,
    FunctionExecutionResult,
)
from autogen_core.tools import ParametersSchema, ToolSchema

from aiostream_server.teams.charts import expect_chart
from aiostream_server.teams.data.agent_bases import ModelAgent, Said, parse_arguments, result_of
from aiostream_server.teams.data.drafter_memory import add_to_memory, asked_so_far
from aiostream_server.teams.data.messages import QUERY, QueryDraft
from aiostream_server.teams.resume import USER
from aiostream_server.text import typed_question
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.schema_choice.chooser import MORE_TABLES, WANTED

_SCHEMA: Final = "schema"
_TABLES: Final = "tables"
_MAX_MODEL_CALLS: Final = 8
_PROMPT: Final = (
    "You answer questions about data by drafting SQL. First call `schema` to read the tables, unless you have read "
    "them in this conversation; then call `query` with exactly one read-only SELECT statement in the database's own "
    "dialect. The query is checked before it runs; if it is blocked, fails or is not wanted, you are told why and may "
    "call `query` again, corrected. A question may build on earlier ones. Say in one short sentence what you "
    "are going to look up before you call a tool. Select only what answers the question; aggregate in SQL; name "
    "columns clearly. If the question cannot be answered from these tables, say so in plain words without a tool call."
)
_LARGE: Final = (
    " The database has more tables than fit here: `schema` shows those that suit the question and others by name. Read "
    "any other table with `tables` before you query it, and call `schema` again when the subject changes. Do not "
    "say that something cannot be answered before you have looked for its tables."
)


class SqlDrafter(ModelAgent):
    """Drafts queries, and has no way to run one. Counts its attempts from each message of the user."""

    def __init__(
        self,
        name: str,
        *,
        model_client: ChatCompletionClient,
        databases: Mapping[str, Database],
        draws: bool = False,
    ) -> None:
        """`draws`: the rows may be drawn, by another agent."""
        super().__init__(name, "Drafts SQL queries against the real schema.", model_client)
        self._draws = draws
        self._databases = databases
        self._attempts = 0

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (QueryDraft, TextMessage)

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[Said, None]:
        asked = [message for message in messages if message.source == USER]
        if asked:
            self._attempts = 0
            if self._draws:
                await expect_chart(typed_question(asked[-1].to_text()))
        await add_to_memory(self.model_context, messages)
        for _ in range(_MAX_MODEL_CALLS):
            is_large = any(database.is_large for database in self._databases.values())
            tools = _tool_schemas(self._databases, is_large=is_large)
            result = await self.ask(f"{_PROMPT}{_LARGE}" if is_large else _PROMPT, tools, cancellation_token)
            for said in self.as_messages(result):
                yield said
            if isinstance(result.content, str):
                return
            draft, answers = await self._answer(result.content)
            if answers:
                yield await self.answer_calls(answers, _summary(answers))
            if draft is not None:
                yield Response(chat_message=draft)
                return
        yield self.text_response(f"I stopped after {_MAX_MODEL_CALLS} attempts without a query.")

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        await super().on_reset(cancellation_token)
        self._attempts = 0

    async def _answer(self, calls: Sequence[FunctionCall]) -> tuple[QueryDraft | None, list[FunctionExecutionResult]]:
        """The first well-formed `query` call becomes the draft; every other call is answered now."""
        draft: QueryDraft | None = None
        answers: list[FunctionExecutionResult] = []
        for call in calls:
            try:
                arguments = parse_arguments(call)
                if call.name == QUERY and draft is None:
                    draft = self._draft(call, arguments)
                else:
                    answers.append(result_of(call, await self._run_tool(call, arguments), is_error=False))
            except ValueError as exc:
                answers.append(result_of(call, str(exc), is_error=True))
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
        database = self._database_of(arguments)
        if call.name == _TABLES:
            return await database.find_tables(_wanted(arguments), _TABLES)
        if call.name != _SCHEMA:
            raise ValueError(f"There is no tool {call.name!r}; there are {_SCHEMA} and {QUERY}.")
        asked = asked_so_far(await self.model_context.get_messages(), database.name)
        return await database.describe(asked, _TABLES)

    def _database_of(self, arguments: Mapping[str, Any]) -> Database:
        name = arguments.get("database") or next(iter(self._databases))
        if not isinstance(name, str) or name not in self._databases:
            raise ValueError(f"There is no database {name!r}; there are {', '.join(self._databases)}.")
        return self._databases[name]


def _tool_schemas(databases: Mapping[str, Database], *, is_large: bool) -> Sequence[ToolSchema]:
    """`schema()`, `query(sql)` and, for a large schema, `tables(wanted)`; of several databases they take the name."""
    which: dict[str, Any] = {}
    if len(databases) > 1:
        which = {"database": {"type": "string", "enum": list(databases), "description": "Which database."}}
    sql = {"sql": {"type": "string", "description": "One SELECT statement."}}
    tools = [
        _tool_schema(_SCHEMA, "Read the tables, columns and keys of the database.", which),
        _tool_schema(
            QUERY, "Propose one read-only SELECT. It is checked, then run; its rows are returned.", sql | which
        ),
    ]
    if is_large:
        wanted: dict[str, Any] = {"wanted": {"type": "array", "items": {"type": "string"}, "description": WANTED}}
        tools.append(_tool_schema(_TABLES, f"{MORE_TABLES}.", wanted | which))
    return tools


def _tool_schema(name: str, description: str, properties: dict[str, Any]) -> ToolSchema:
    parameters = ParametersSchema(
        type="object", properties=properties, required=list(properties), additionalProperties=False
    )
    return ToolSchema(name=name, description=description, parameters=parameters)


def _wanted(arguments: Mapping[str, Any]) -> Sequence[str]:
    wanted = arguments.get("wanted")
    names = wanted.split(",") if isinstance(wanted, str) else wanted
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name.strip() for name in names):
        raise ValueError(f'The tool {_TABLES} needs {{"wanted": ["orders", "sale_*"]}}.')
    return names


def _summary(answers: Sequence[FunctionExecutionResult]) -> str:
    """A few words about the one schema that was read; "" in other cases."""
    if len(answers) != 1 or answers[0].is_error:
        return ""
    tables = sum(line.startswith("CREATE ") for line in answers[0].content.splitlines())
    return f"schema: {tables} table{'' if tables == 1 else 's'}"
