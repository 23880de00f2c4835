"""A person takes part: the team waits for what they say, and goes on where it stood."""

from collections.abc import Sequence

from autogen_agentchat.agents import AssistantAgent, UserProxyAgent
from autogen_agentchat.conditions import TextMessageTermination
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import SelectorGroupChat

from aiostream_server.embed import TeamContext, team


def _next(messages: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
    last = messages[-1]
    if last.source == "Writer":
        return "Desk"
    return "Clerk" if last.source == "Desk" and last.to_text().strip(" .!").lower() == "ok" else "Writer"


@team(examples=["Invite the team to a picnic on Friday"], answer_from=["Clerk"])
def build(context: TeamContext) -> SelectorGroupChat:
    """Letters.

    Writes a letter, and changes it until you write OK.
    """
    writer = AssistantAgent(
        "Writer",
        context.model(),
        system_message="You are Writer. Write a letter of three sentences, or change the last one as it is asked for.",
    )
    clerk = AssistantAgent(
        "Clerk", context.model(), system_message="You are Clerk. Give the last letter as it stands, and nothing else."
    )
    return SelectorGroupChat(
        [writer, UserProxyAgent("Desk"), clerk],
        model_client=context.model(),
        selector_func=_next,
        termination_condition=TextMessageTermination("Clerk"),
    )
