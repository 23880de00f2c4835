"""Agents hand the conversation over to one another, and to the user."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMessageTermination
from autogen_agentchat.teams import Swarm

from aiostream_server.embed import TeamContext, team

ORDERS = {"A-17": "a blue teapot, delivered on 3 May, 24.90 EUR"}


async def find_order(number: str) -> str:
    """What is known of an order."""
    return ORDERS.get(number, "there is no such order")


async def refund(number: str) -> str:
    """Pay an order back."""
    return f"{number} is paid back" if number in ORDERS else "there is no such order"


@team(examples=["My teapot is broken"])
def build(context: TeamContext) -> Swarm:
    """Customer service.

    Answers questions about orders, and pays back what arrived broken.
    """
    reception = AssistantAgent(
        "Reception",
        context.model(),
        system_message="You are Reception. Hand over to Refunds for money back; else answer in one sentence.",
        handoffs=["Refunds"],
    )
    refunds = AssistantAgent(
        "Refunds",
        context.model(),
        system_message=(
            "You are Refunds. You need the order's number: ask for it, and hand over to the user to get it. "
            "Look the order up, pay it back, and say so in one sentence."
        ),
        tools=[find_order, refund],
        handoffs=["user"],
        max_tool_iterations=5,
    )
    answered = TextMessageTermination("Reception") | TextMessageTermination("Refunds")
    ends = HandoffTermination("user") | answered | MaxMessageTermination(12)
    return Swarm([reception, refunds], termination_condition=ends)
