"""An agent that answers with data of a given shape, which is shown as a table."""

from typing import Literal

from autogen_agentchat.agents import AssistantAgent
from pydantic import BaseModel

from aiostream_server.embed import TeamContext, team


class Expense(BaseModel):
    day: str
    what: str
    kind: Literal["travel", "food", "lodging", "other"]
    euros: float


class Expenses(BaseModel):
    expenses: list[Expense]


@team(examples=["Train on Monday 48.50, the hotel 120, and lunch for 17 on Tuesday"])
def build(context: TeamContext) -> AssistantAgent:
    """Expenses.

    Reads expenses out of whatever you write, and gives them as a table.
    """
    return AssistantAgent(
        "Bookkeeper",
        context.model(),
        system_message="You are Bookkeeper. List the expenses that the user tells you of.",
        output_content_type=Expenses,
    )
