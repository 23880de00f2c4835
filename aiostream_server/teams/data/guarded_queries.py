"""The two agents in code that stand between a model's query and the database.

ValidationAgent is the SQL guard as an agent. No model can overrule it; one may comment on the query. Database runs
approved queries only; with `asks_first`, only those to which the user said yes.
"""

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Final

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, ToolCallExecutionEvent, ToolCallRequestEvent
from autogen_core import CancellationToken, FunctionCall
from autogen_core.models import ChatCompletionClient, FunctionExecutionResult, LLMMessage, SystemMessage, UserMessage

from aiostream_server.teams.data.agent_bases import CodeAgent, Said
from aiostream_server.teams.data.approval import find_reply
from aiostream_server.teams.data.messages import DRAFTER, QUERY, LatestRows, QueryDraft, QueryOutcome, Verdict
from aiostream_server.teams.query_results import QueryResult, query_result
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.errors import DatabaseUnreachable, QueryFailed
from aiostream_server.tools.sql.guard import Approved
from aiostream_server.tools.sql.rows import Rows

_OPINION_PROMPT: Final = (
    "You review SQL that was already checked for safety by code. In one or two sentences, say whether this query "
    "answers the question it was written for, and name a mistake if you see one. You cannot block or change it."
)
_MOST_SHOWN: Final = 50
_MOST_SHOWN_UNITS: Final = 7_850
"""A run's event holds 8,000 (`runs.ledger`), and would cut a longer table in the middle of a row."""


class SqlValidator(CodeAgent):
    """Approves or blocks drafts. `opinion_client` is a model that comments on approved queries."""

    def __init__(
        self,
        name: str,
        *,
        databases: Mapping[str, Database],
        opinion_client: ChatCompletionClient | None = None,
    ) -> None:
        super().__init__(name, description="Checks every query before it may run.")
        self._databases = databases
        self._opinion_client = opinion_client

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (Verdict,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        draft = messages[-1]
        if not isinstance(draft, QueryDraft):
            raise TypeError(f"{self.name} judges query drafts, not {type(draft).__name__}")
        verdict = await self._judge(draft)
        if verdict.approved and self._opinion_client is not None:
            await self._give_opinion(self._opinion_client, verdict.sql, cancellation_token)
        return Response(chat_message=verdict)

    async def _judge(self, draft: QueryDraft) -> Verdict:
        judgement = await self._databases[draft.database].check(draft.content)
        approved = isinstance(judgement, Approved)
        return Verdict(
            content=f"{'approved' if approved else 'blocked'}: {judgement.reason}",
            source=self.name,
            call_id=draft.call_id,
            database=draft.database,
            attempt=draft.attempt,
            approved=approved,
            reason=judgement.reason,
            sql=judgement.sql if isinstance(judgement, Approved) else "",
            shown=judgement.shown if isinstance(judgement, Approved) else "",
        )

    async def _give_opinion(
        self, client: ChatCompletionClient, sql: str, cancellation_token: CancellationToken
    ) -> None:
        """The comment is streamed to the viewers, and does not change the verdict."""
        prompt: list[LLMMessage] = [SystemMessage(content=_OPINION_PROMPT), UserMessage(content=sql, source=DRAFTER)]
        await client.create(prompt, cancellation_token=cancellation_token)


class QueryRunner(CodeAgent):
    """Executes approved queries read-only, within the database's row, byte and time limits.

    `asks_first` requires the user's yes right behind the question. The rows are also put into `latest`, and all of
    them into a file that the answer links to.
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
        verdict: object = messages[-1]
        if self._asks_first:
            reply = find_reply(messages)
            verdict = reply[0] if reply is not None and reply[1] == "yes" else None
        if not isinstance(verdict, Verdict) or not verdict.approved:
            raise TypeError(f"{self.name} runs approved queries only")
        if self._asks_first:  # the model's call is in the log of an earlier run
            yield ToolCallRequestEvent(content=[_call(verdict)], source=self.name)
        outcome, shown = await self._run(verdict)
        content = (
            outcome.content if shown is None else f"{shown.to_markdown(for_people=True)}\n\n{shown.ending}".rstrip()
        )
        result = FunctionExecutionResult(content=content, name=QUERY, call_id=verdict.call_id, is_error=outcome.failed)
        about = {
            "summary": _summary(outcome, shown),
            "truncated": "true" if shown is not None and shown.truncated else "",
        }
        yield ToolCallExecutionEvent(content=[result], source=self.name, metadata=about)
        yield Response(chat_message=outcome)

    async def _run(self, verdict: Verdict) -> tuple[QueryOutcome, Rows | None]:
        """The outcome for the models, with every row, and the rows for the viewers; None for a failed query."""
        try:
            if (database := self._databases.get(verdict.database)) is None:  # removed since the verdict was saved
                raise QueryFailed(f"not run: there is no database {verdict.database!r} any more")
            # The guard checks the statement again: a verdict is a message, which other agents could have made.
            result: QueryResult | None = await query_result(database, verdict.sql)
        except (QueryFailed, DatabaseUnreachable) as exc:
            result, failure = None, str(exc)
        else:
            failure = ""
        rows = None if result is None else result.rows
        self._latest.rows = rows or self._latest.rows
        outcome = QueryOutcome(
            content=failure if rows is None else rows.to_markdown(),
            source=self.name,
            call_id=verdict.call_id,
            attempt=verdict.attempt,
            failed=rows is None,
            summary="the query failed" if rows is None else rows.summary,
            has_file=result is not None and result.file is not None,
        )
        return outcome, None if rows is None else rows.first(_MOST_SHOWN, _MOST_SHOWN_UNITS)


def _summary(outcome: QueryOutcome, shown: Rows | None) -> str:
    """`200 rows (35 more left out), the first 50 shown`."""
    if shown is None or shown.summary == outcome.summary:
        return outcome.summary
    return f"{outcome.summary}, the first {len(shown.rows)} shown"


def _call(verdict: Verdict) -> FunctionCall:
    return FunctionCall(verdict.call_id, json.dumps({"sql": verdict.shown or verdict.sql}, ensure_ascii=False), QUERY)
