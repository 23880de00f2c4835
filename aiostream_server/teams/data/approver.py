"""ApprovalAgent: shows a person the query that is about to run, and waits for their word. Code, no model."""

from collections.abc import Sequence
from typing import Final

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import BaseChatMessage, HandoffMessage, TextMessage
from autogen_core import CancellationToken

from aiostream_server.present.blocks import fenced
from aiostream_server.teams.data.messages import Verdict
from aiostream_server.teams.resume import USER

_NOT_RUN: Final = "The query was not run. Ask again, or say what to look up instead."


class QueryApprover(BaseChatAgent):
    """Asks after an approved verdict; confirms that nothing was run after a person's no."""

    def __init__(self, name: str) -> None:
        super().__init__(name, description="Asks the user before a query is run.")

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (HandoffMessage, TextMessage)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        match messages[-1]:
            case Verdict(approved=True) as verdict:
                return Response(chat_message=HandoffMessage(content=_question(verdict), source=self.name, target=USER))
            case TextMessage(source=speaker) if speaker == USER:
                return Response(chat_message=TextMessage(content=_NOT_RUN, source=self.name))
            case other:
                raise TypeError(f"{self.name} asks about approved queries, not about {type(other).__name__}")

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Keeps nothing between turns."""


def _question(verdict: Verdict) -> str:
    query = fenced(verdict.sql, "sql")
    return (
        f"This query is ready to run on the database `{verdict.database}`:\n\n{query}\n\n"
        "Reply **yes** to run it, **no** to stop, or say what to change."
    )
