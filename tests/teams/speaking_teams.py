"""Teams with agents in places where AutoGen does not name the speaker: in tools, behind a filter, or alone."""

import tempfile
from typing import Any

from autogen_agentchat.agents import (
    ApprovalRequest,
    ApprovalResponse,
    AssistantAgent,
    CodeExecutorAgent,
    MessageFilterAgent,
    MessageFilterConfig,
    PerSourceFilter,
    SocietyOfMindAgent,
)
from autogen_agentchat.base import ChatAgent, Team
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat, SelectorGroupChat
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core.code_executor import CodeExecutor
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor

from aiostream_server.teams.context import TeamContext


def agent(context: TeamContext, name: str, **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, context.model(), description=name, system_message=f"You are {name}. ", **settings)


def one_helper(context: TeamContext) -> AssistantAgent:
    """Boss has Helper as a tool."""
    return agent(context, "Boss", tools=[AgentTool(agent(context, "Helper"))], max_tool_iterations=2)


def helper_answers(context: TeamContext) -> RoundRobinGroupChat:
    """Boss returns Helper's words as the answer, as AutoGen's agents do by default."""
    return RoundRobinGroupChat([agent(context, "Boss", tools=[AgentTool(agent(context, "Helper"))])], max_turns=1)


def two_helpers(context: TeamContext) -> AssistantAgent:
    """Boss has Paris and Rome as tools."""
    tools = [AgentTool(agent(context, name), return_value_as_last_message=True) for name in ("Paris", "Rome")]
    return agent(context, "Boss", tools=tools, max_tool_iterations=2)


def team_of_helpers(context: TeamContext) -> RoundRobinGroupChat:
    """Boss has a team as a tool, in which a model selects Writer or Critic; then Other speaks."""
    members: list[ChatAgent | Team] = [agent(context, "Writer"), agent(context, "Critic")]
    inner = SelectorGroupChat(
        members,
        context.model(),
        termination_condition=MaxMessageTermination(2),
        selector_prompt="You are nobody. {roles}",
    )
    tool = TeamTool(inner, name="write", description="writes")
    boss = agent(context, "Boss", tools=[tool], reflect_on_tool_use=True)
    return RoundRobinGroupChat([boss, agent(context, "Other")], max_turns=2)


def helper_of_a_helper(context: TeamContext) -> AssistantAgent:
    """Boss has Helper as a tool, and Helper has a society of Inner as a tool."""
    society = SocietyOfMindAgent(
        "Society",
        RoundRobinGroupChat([agent(context, "Inner")], max_turns=1),
        context.model(),
        instruction="You are Society. ",
    )
    helper = agent(context, "Helper", tools=[AgentTool(society)])
    return agent(context, "Boss", tools=[AgentTool(helper)], max_tool_iterations=2)


def filtered(context: TeamContext) -> RoundRobinGroupChat:
    """Inner, behind a filter that is called Outer; then Next."""
    only_user = MessageFilterConfig(per_source=[PerSourceFilter(source="user")])
    outer = MessageFilterAgent("Outer", agent(context, "Inner"), only_user)
    return RoundRobinGroupChat([outer, agent(context, "Next")], max_turns=2)


def lone_society(context: TeamContext) -> SocietyOfMindAgent:
    """A society of Inner, without a team around it."""
    inner = RoundRobinGroupChat([agent(context, "Inner")], max_turns=1)
    return SocietyOfMindAgent("Society", inner, context.model(), instruction="You are Society. ")


def magentic(context: TeamContext) -> MagenticOneGroupChat:
    """Worker, and an orchestrator."""
    prompt = "Give the answer."
    return MagenticOneGroupChat([agent(context, "Worker")], context.model(), final_answer_prompt=prompt)


def coder(context: TeamContext) -> CodeExecutorAgent:
    """Writes code and runs it."""
    model = context.model()
    return CodeExecutorAgent(
        "Coder", _executor(), model_client=model, system_message="You are Coder. ", approval_func=_approve
    )


def writer_and_runner(context: TeamContext) -> RoundRobinGroupChat:
    """Writer writes code, Runner runs it."""
    runner = CodeExecutorAgent("Runner", _executor(), approval_func=_approve)
    return RoundRobinGroupChat([agent(context, "Writer"), runner], max_turns=2)


def _executor() -> CodeExecutor:
    return LocalCommandLineCodeExecutor(work_dir=tempfile.mkdtemp())


def _approve(_: ApprovalRequest) -> ApprovalResponse:
    return ApprovalResponse(approved=True, reason="a test's")
