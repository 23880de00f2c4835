"""Agents and teams as tools of another agent."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool

from aiostream_server.embed import TeamContext, team


@team(examples=["A three-course dinner for four, with a toast"])
def build(context: TeamContext) -> AssistantAgent:
    """Host.

    Plans a dinner: asks the cook for the menu, and two writers for the toast.
    """

    def agent(name: str, task: str) -> AssistantAgent:
        return AssistantAgent(name, context.model(), description=task, system_message=f"You are {name}. {task}")

    cook = agent("Cook", "Propose three courses, one line each.")
    poet = agent("Poet", "Write a toast in one sentence.")
    friend = agent("Friend", "Make the last toast warmer. Give only the toast.")
    toast = TeamTool(
        RoundRobinGroupChat([poet, friend], max_turns=2),
        name="toast",
        description="Writes a toast.",
        return_value_as_last_message=True,
    )
    return AssistantAgent(
        "Host",
        context.model(),
        system_message="You are Host. Ask Cook for a menu, then toast for a toast. Give the user both, in a few words.",
        tools=[AgentTool(cook), toast],
        max_tool_iterations=4,
    )
