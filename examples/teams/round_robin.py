"""Agents take turns until one of them is content."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.embed import TeamContext, team


@team(examples=["A slogan for a bakery"], answer_from=["Writer"], roles={"Editor": "validation"})
def build(context: TeamContext) -> RoundRobinGroupChat:
    """Slogan writers.

    Writes a slogan, and works on it until the editor is content.
    """
    writer = AssistantAgent(
        "Writer",
        context.model(),
        system_message="You are Writer. Write one slogan, and only that. Take what Editor says into account.",
    )
    editor = AssistantAgent(
        "Editor",
        context.model(),
        system_message=(
            "You are Editor. Criticise the last slogan in one sentence. If there is nothing left to criticise, "
            "answer with the one word APPROVED."
        ),
    )
    approved = TextMentionTermination("APPROVED", sources=["Editor"])
    return RoundRobinGroupChat([writer, editor], termination_condition=approved | MaxMessageTermination(7))
