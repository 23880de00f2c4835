"""Database: runs what the guard approved, and nothing else."""

from collections.abc import AsyncGenerator, Mapping, Sequence

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, ToolCallExecutionEvent
from autogen_core import CancellationToken
from autogen_core.models import FunctionExecutionResult

from aiostream_server.teams.data.messages import QueryOutcome, Verdict
from aiostream_server.teams.data.tools import QUERY
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.verdict import Approved


class QueryRunner(BaseChatAgent):
    """Executes approved queries read-only, within the database's row, byte and time limits."""

    def __init__(self, name: str, *, databases: Mapping[str, Database]) -> None:
        super().__init__(name, description="Runs approved queries, read-only.")
        self._databases = databases

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (QueryOutcome,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        async for said in self.on_messages_stream(messages, cancellation_token):
            if isinstance(said, Response):
                return said
        raise AssertionError("a turn always ends with a response")

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        verdict = messages[-1]
        if not isinstance(verdict, Verdict) or not verdict.approved:
            raise TypeError(f"{self.name} runs approved queries only")
        outcome, truncated = await self._run(verdict)
        result = FunctionExecutionResult(
            content=outcome.content, name=QUERY, call_id=verdict.call_id, is_error=outcome.failed
        )
        about = {"summary": outcome.summary, "truncated": "true" if truncated else ""}
        yield ToolCallExecutionEvent(content=[result], source=self.name, metadata=about)
        yield Response(chat_message=outcome)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Keeps nothing between turns."""

    async def _run(self, verdict: Verdict) -> tuple[QueryOutcome, bool]:
        database = self._databases[verdict.database]
        try:
            # Judged again, not trusted: a verdict is a message, and messages can be made by anyone.
            approved = await database.check(verdict.sql)
            if not isinstance(approved, Approved):
                raise QueryFailed(f"not run: {approved.reason}")
            rows = await database.query(approved)
        except (QueryFailed, DatabaseUnreachable) as exc:
            return self._outcome(verdict, content=str(exc), summary="the query failed", failed=True), False
        outcome = self._outcome(verdict, content=rows.to_markdown(), summary=rows.summary, failed=False)
        return outcome, rows.truncated

    def _outcome(self, verdict: Verdict, *, content: str, summary: str, failed: bool) -> QueryOutcome:
        return QueryOutcome(
            content=content,
            source=self.name,
            call_id=verdict.call_id,
            attempt=verdict.attempt,
            failed=failed,
            summary=summary,
        )
