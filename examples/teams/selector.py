"""A model chooses who speaks next."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMessageTermination
from autogen_agentchat.teams import SelectorGroupChat

from aiostream_server.embed import TeamContext, team


async def seat_map(show: str) -> str:
    """The free seats of a show."""
    return f"{show}: row 4, seats 11 and 12; row 9, seats 3 to 8"


async def train_times(station: str) -> str:
    """When trains to a station leave in the evening."""
    return f"to {station}: 18:02, 18:32, 19:02"


@team(examples=["Two seats for Hamlet, and a train home to Bath"], answer_from=["Planner"])
def build(context: TeamContext) -> SelectorGroupChat:
    """Evening planner.

    Plans an evening out: seats, trains, and what to do in between.
    """
    box_office = AssistantAgent(
        "BoxOffice",
        context.model(),
        description="Knows which seats are free.",
        system_message="You are BoxOffice. Look up free seats, and say in one sentence which ones are best.",
        tools=[seat_map],
        reflect_on_tool_use=True,
    )
    railway = AssistantAgent(
        "Railway",
        context.model(),
        description="Knows when trains leave.",
        system_message="You are Railway. Look up trains, and say in one sentence which one to take.",
        tools=[train_times],
        reflect_on_tool_use=True,
    )
    planner = AssistantAgent(
        "Planner",
        context.model(),
        description="Puts the plan together, once seats and trains are known.",
        system_message="You are Planner. Put the plan for the evening together, as a short list.",
    )
    return SelectorGroupChat(
        [box_office, railway, planner],
        model_client=context.model(),
        termination_condition=TextMessageTermination("Planner") | MaxMessageTermination(9),
    )
