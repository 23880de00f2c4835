"""Magentic-One: an orchestrator plans, asks others, notes what came of it, and plans anew where that leads nowhere."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import MagenticOneGroupChat

from aiostream_server.embed import TeamContext, team

SHELVES = {
    "danube": "The Danube is 2,850 km long and flows through ten countries.",
    "rhine": "The Rhine is 1,233 km long and flows through six countries.",
}


async def look_up(word: str) -> str:
    """What the encyclopedia says about a word."""
    return SHELVES.get(word.lower(), "There is no article of that name.")


@team(examples=["How much longer is the Danube than the Rhine?"])
def build(context: TeamContext) -> MagenticOneGroupChat:
    """Researchers.

    Looks things up, calculates, and answers what takes several steps.
    """
    librarian = AssistantAgent(
        "Librarian",
        context.model(),
        description="Looks things up in an encyclopedia.",
        system_message="You are Librarian. Look up what you are asked for, and repeat what matters.",
        tools=[look_up],
        reflect_on_tool_use=True,
    )
    mathematician = AssistantAgent(
        "Mathematician",
        context.model(),
        description="Calculates.",
        system_message="You are Mathematician. Calculate what you are asked for, in one line.",
    )
    return MagenticOneGroupChat([librarian, mathematician], model_client=context.model(), max_turns=8)
