"""`kind = "assistant"`: a model as it is, with the team's `system_message` and its `tools`."""

from typing import Final

from autogen_agentchat.agents import AssistantAgent

from aiostream_server.teams.context import TeamContext

_MAX_TOOL_ROUNDS: Final = 20


def build(context: TeamContext) -> AssistantAgent:
    """One agent. Without a `system_message` the model gets none but the client's."""
    return AssistantAgent(
        "Assistant",
        model_client=context.model(),
        workbench=context.tools() if context.config.tools else None,
        system_message=context.config.system_message or None,
        reflect_on_tool_use=True,
        max_tool_iterations=_MAX_TOOL_ROUNDS,
    )
