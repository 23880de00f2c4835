"""Database: runs what the guard approved, and nothing else; where a person is asked first, what they said yes to."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, ToolCallExecutionEvent, ToolCallRequestEvent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import FunctionExecutionResult

from aiostream_server.teams.data.consent import find_reply
from aiostream_server.teams.data.latest import LatestRows
from aiostream_server.teams.data.messages import QueryOutcome, Verdict
from aiostream_server.teams.data.tools import QUERY
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.rows import Rows

_MOST_SHOWN: Final = 50
_MOST_SHOWN_UNITS: Final = 7_900
"""A run's event holds 8,000 (`runs.ledger`): a table that is cut in the middle of a row is none."""


class QueryRunner(BaseChatAgent):
    """Executes approved queries read-only, within the database's row, byte and time limits.

    `asks_first`: only what a person's yes, right behind the question, lets run. `latest` gets the rows, too.
    """

    def __init__(
        self,
        name: str,
        *,
        databases: Mapping[str, Database],
        asks_first: bool = False,
        latest: LatestRows | None = None,
    ) -> None:
        super().__init__(name, description="Runs approved queries, read-only.")
        self._databases = databases
        self._asks_first = asks_first
        self._latest = latest or LatestRows()

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
        verdict = self._agreed(messages) if self._asks_first else messages[-1]
        if not isinstance(verdict, Verdict) or not verdict.approved:
            raise TypeError(f"{self.name} runs approved queries only")
        if self._asks_first:  # the call stands in an earlier run's log
            yield ToolCallRequestEvent(content=[_call(verdict)], source=self.name)
        outcome, shown = await self._run(verdict)
        content = outcome.content if shown is None else shown.to_markdown()
        result = FunctionExecutionResult(content=content, name=QUERY, call_id=verdict.call_id, is_error=outcome.failed)
        about = {"summary": _told(outcome, shown), "truncated": "true" if shown is not None and shown.truncated else ""}
        yield ToolCallExecutionEvent(content=[result], source=self.name, metadata=about)
        yield Response(chat_message=outcome)

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Keeps nothing between turns."""

    def _agreed(self, messages: Sequence[BaseChatMessage]) -> Verdict | None:
        match find_reply(messages):
            case (verdict, "yes"):
                return verdict
            case _:
                return None

    async def _run(self, verdict: Verdict) -> tuple[QueryOutcome, Rows | None]:
        """What the models are told, with every row; and the rows that people are shown."""
        try:
            database = self._database(verdict.database)
            # Judged again, not trusted: a verdict is a message, and messages can be made by anyone.
            rows = await database.ask(verdict.sql)
        except (QueryFailed, DatabaseUnreachable) as exc:
            return self._outcome(verdict, content=str(exc), summary="the query failed", failed=True), None
        self._latest.rows = rows
        outcome = self._outcome(verdict, content=rows.to_markdown(), summary=rows.summary, failed=False)
        return outcome, rows.first(_MOST_SHOWN, _MOST_SHOWN_UNITS)

    def _database(self, name: str) -> Database:
        """Raises `QueryFailed`: a verdict may be older than the configuration."""
        if name not in self._databases:
            raise QueryFailed(f"not run: there is no database {name!r} any more")
        return self._databases[name]

    def _outcome(self, verdict: Verdict, *, content: str, summary: str, failed: bool) -> QueryOutcome:
        return QueryOutcome(
            content=content,
            source=self.name,
            call_id=verdict.call_id,
            attempt=verdict.attempt,
            failed=failed,
            summary=summary,
        )


def _told(outcome: QueryOutcome, shown: Rows | None) -> str:
    """`200 rows (35 more left out), the first 50 shown`."""
    return (
        outcome.summary
        if shown is None or shown.summary == outcome.summary
        else (f"{outcome.summary}, the first {len(shown.rows)} shown")
    )


def _call(verdict: Verdict) -> FunctionCall:
    return FunctionCall(verdict.call_id, json.dumps({"sql": verdict.sql}, ensure_ascii=False), QUERY)
