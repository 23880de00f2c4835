"""The general assistant: one agent with a calculator, so that a model does no arithmetic by itself."""

from typing import Final

from autogen_agentchat.agents import AssistantAgent

from aiostream_server.teams.context import TeamContext
from aiostream_server.tools.calculator import calculate

_MAX_TOOL_ROUNDS: Final = 6
_PROMPT: Final = (
    "You are a helpful assistant. Answer in the language of the question, briefly and correctly. For any arithmetic, "
    "however simple, call the tool `calculate` and use its result; never work numbers out yourself."
)


def build(context: TeamContext) -> AssistantAgent:
    """One agent with a calculator."""
    return AssistantAgent(
        "Assistant",
        model_client=context.model(),
        tools=[context.tool(calculate, description="Evaluate an arithmetic expression exactly.")],
        system_message=_PROMPT,
        reflect_on_tool_use=True,
        max_tool_iterations=_MAX_TOOL_ROUNDS,
    )
