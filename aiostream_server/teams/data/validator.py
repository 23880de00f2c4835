"""ValidationAgent: the SQL guard as an agent. No model can overrule it; one may comment on the query."""

from collections.abc import Mapping, Sequence
from typing import Final

from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage
from autogen_core import CancellationToken
from autogen_core.models import ChatCompletionClient, LLMMessage, SystemMessage, UserMessage

from aiostream_server.teams.data.agent_bases import CodeAgent
from aiostream_server.teams.data.messages import DRAFTER, QueryDraft, Verdict
from aiostream_server.tools.sql.database import Database
from aiostream_server.tools.sql.guard import Approved

_OPINION_PROMPT: Final = (
    "You review SQL that was already checked for safety by code. In one or two sentences, say whether this query "
    "answers the question it was written for, and name a mistake if you see one. You cannot block or change it."
)


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
        )

    async def _give_opinion(
        self, client: ChatCompletionClient, sql: str, cancellation_token: CancellationToken
    ) -> None:
        """The comment is streamed to the viewers, and does not change the verdict."""
        prompt: list[LLMMessage] = [SystemMessage(content=_OPINION_PROMPT), UserMessage(content=sql, source=DRAFTER)]
        await client.create(prompt, cancellation_token=cancellation_token)
