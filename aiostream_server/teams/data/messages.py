"""What the agents of the data team hand to one another. Their types decide who speaks next; their words do not.

AutoGen finds a message's class again by its field `type`, when a state is loaded.
"""

from typing import Literal

from autogen_agentchat.messages import BaseTextChatMessage
from autogen_core.models import UserMessage


class QueryDraft(BaseTextChatMessage):
    """A query that a model wants to run: the `call_id` of its tool call, the SQL as `content`."""

    type: Literal["QueryDraft"] = "QueryDraft"
    call_id: str
    database: str
    attempt: int


class Verdict(BaseTextChatMessage):
    """The guard's word on a draft: `content` says it, `reason` says why, `sql` is what may be run if it is approved."""

    type: Literal["Verdict"] = "Verdict"
    call_id: str
    database: str
    attempt: int
    approved: bool
    reason: str
    sql: str = ""


class QueryOutcome(BaseTextChatMessage):
    """What the database answered: a table of rows, or why there is none."""

    type: Literal["QueryOutcome"] = "QueryOutcome"
    call_id: str
    attempt: int
    failed: bool
    summary: str = ""

    def to_model_message(self) -> UserMessage:
        """Rows come from outside: whoever reads them is told that they are no instructions."""
        text = f"Result of the query ({self.summary}):\n\n{self.content}"
        return UserMessage(content=text, source=self.source)
