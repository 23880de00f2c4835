"""Database: runs approved queries only; with `asks_first`, only those to which the user said yes."""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, ToolCallExecutionEvent, ToolCallRequestEvent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import FunctionExecutionResult

from aiostream_server.teams.data.agent_bases import CodeAgent, Said
from aiostream_server.teams.data.approval import find_reply
from aiostream_server.teams.data.messages import QUERY, LatestRows, QueryOutcome, Verdict
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.rows import Rows

_MOST_SHOWN: Final = 50
_MOST_SHOWN_UNITS: Final = 7_900
"""A run's event holds 8,000 (`runs.ledger`), and would cut a longer table in the middle of a row."""


class QueryRunner(CodeAgent):
    """Executes approved queries read-only, within the database's row, byte and time limits.

    `asks_first` requires the user's yes right behind the question. The rows are also put into `latest`.
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

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[Said, None]:
        verdict = self._agreed(messages) if self._asks_first else messages[-1]
        if not isinstance(verdict, Verdict) or not verdict.approved:
            raise TypeError(f"{self.name} runs approved queries only")
        if self._asks_first:  # the model's call is in the log of an earlier run
            yield ToolCallRequestEvent(content=[_call(verdict)], source=self.name)
        outcome, shown = await self._run(verdict)
        content = outcome.content if shown is None else shown.to_markdown()
        result = FunctionExecutionResult(content=content, name=QUERY, call_id=verdict.call_id, is_error=outcome.failed)
        about = {
            "summary": _summary(outcome, shown),
            "truncated": "true" if shown is not None and shown.truncated else "",
        }
        yield ToolCallExecutionEvent(content=[result], source=self.name, metadata=about)
        yield Response(chat_message=outcome)

    def _agreed(self, messages: Sequence[BaseChatMessage]) -> Verdict | None:
        match find_reply(messages):
            case (verdict, "yes"):
                return verdict
            case _:
                return None

    async def _run(self, verdict: Verdict) -> tuple[QueryOutcome, Rows | None]:
        """The outcome for the models, with every row, and the rows for the viewers; None for a failed query."""
        try:
            database = self._database(verdict.database)
            # The guard checks the statement again: a verdict is a message, which other agents could have made.
            rows = await database.ask(verdict.sql)
        except (QueryFailed, DatabaseUnreachable) as exc:
            return self._outcome(verdict, content=str(exc), summary="the query failed", failed=True), None
        self._latest.rows = rows
        outcome = self._outcome(verdict, content=rows.to_markdown(), summary=rows.summary, failed=False)
        return outcome, rows.first(_MOST_SHOWN, _MOST_SHOWN_UNITS)

    def _database(self, name: str) -> Database:
        """Raises `QueryFailed`: a saved verdict may name a database that was removed from the configuration since."""
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


def _summary(outcome: QueryOutcome, shown: Rows | None) -> str:
    """`200 rows (35 more left out), the first 50 shown`."""
    if shown is None or shown.summary == outcome.summary:
        return outcome.summary
    return f"{outcome.summary}, the first {len(shown.rows)} shown"


def _call(verdict: Verdict) -> FunctionCall:
    return FunctionCall(verdict.call_id, json.dumps({"sql": verdict.sql}, ensure_ascii=False), QUERY)
