"""The names of the data team's agents, and what they hand to one another.

The types of the messages decide who speaks next, not their texts. AutoGen finds the class of a saved message by its
field `type`.
"""

from dataclasses import dataclass
from typing import Final, Literal

from autogen_agentchat.messages import BaseTextChatMessage
from autogen_core.models import UserMessage

from aiostream_server.present.blocks import ROWS_AS_FILE
from aiostream_server.tools.sql.rows import Rows

DRAFTER: Final = "SQLAgent"
VALIDATOR: Final = "ValidationAgent"
APPROVER: Final = "ApprovalAgent"
RUNNER: Final = "Database"
ANALYST: Final = "AnalysisAgent"

QUERY: Final = "query"
"""The tool that SQLAgent's model calls with a query."""


class QueryDraft(BaseTextChatMessage):
    """A query that a model wants to run: the SQL as `content`, and the `call_id` of its tool call."""

    type: Literal["QueryDraft"] = "QueryDraft"
    call_id: str
    database: str
    attempt: int


class Verdict(BaseTextChatMessage):
    """The guard's decision on a draft, with its `reason`. `sql` is the statement that may run, if it is approved, and
    `shown` the same for people."""

    type: Literal["Verdict"] = "Verdict"
    call_id: str
    database: str
    attempt: int
    approved: bool
    reason: str
    sql: str = ""
    shown: str = ""


class QueryOutcome(BaseTextChatMessage):
    """The database's answer: a table of rows, or why there is none. `has_file`: the user gets all rows as a file."""

    type: Literal["QueryOutcome"] = "QueryOutcome"
    call_id: str
    attempt: int
    failed: bool
    summary: str = ""
    has_file: bool = False

    def to_model_message(self) -> UserMessage:
        """A user message: the system prompt tells the model that rows are data, not instructions."""
        file = f"\n\n{ROWS_AS_FILE}" if self.has_file else ""
        text = f"Result of the query ({self.summary}):\n\n{self.content}{file}"
        return UserMessage(content=text, source=self.source)


@dataclass(slots=True)
class LatestRows:
    """The rows of the last query of one run, from which charts are drawn. None until an approved query has run."""

    rows: Rows | None = None
