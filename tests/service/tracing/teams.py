"""Teams of agents that work at the same time: the hard case for the assignment of spans."""

from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow

from aiostream_server.teams.context import TeamContext


def fanned_out(context: TeamContext) -> GraphFlow:
    """Planner; then Left and Right side by side, each with a tool; then Closer."""

    async def look(where: str) -> str:
        """Look somewhere."""
        return f"nothing {where}"

    model = context.model()
    planner, left, right, closer = (
        AssistantAgent(
            name,
            model_client=model,
            system_message=f"You are {name}.",
            tools=[look] if name in ("Left", "Right") else None,
            reflect_on_tool_use=True,
        )
        for name in ("Planner", "Left", "Right", "Closer")
    )
    graph = DiGraphBuilder()
    for agent in (planner, left, right, closer):
        graph.add_node(agent)
    for agent in (left, right):
        graph.add_edge(planner, agent).add_edge(agent, closer)
    return GraphFlow([planner, left, right, closer], graph=graph.build())
