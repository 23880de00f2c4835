"""A team that speaks as one agent."""

from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.teams import RoundRobinGroupChat

from aiostream_server.embed import TeamContext, team


@team(examples=["Should we move the office to the countryside?"], answer_from=["Adviser"])
def build(context: TeamContext) -> SocietyOfMindAgent:
    """Advice.

    Weighs a decision: one agent speaks for it, one against it, and the advice is made of both.
    """
    optimist = AssistantAgent(
        "Optimist", context.model(), system_message="You are Optimist. Give the best reason for it, in one sentence."
    )
    sceptic = AssistantAgent(
        "Sceptic", context.model(), system_message="You are Sceptic. Give the best reason against it, in one sentence."
    )
    return SocietyOfMindAgent(
        "Adviser",
        team=RoundRobinGroupChat([optimist, sceptic], max_turns=2),
        model_client=context.model(),
        response_prompt="Give the user your advice in two sentences. Do not mention that others discussed it.",
    )
