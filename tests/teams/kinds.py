"""Every kind of team that AutoGen has, with scripted models."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.base import ChatAgent, Handoff, Team
from autogen_agentchat.conditions import HandoffTermination, MaxMessageTermination, TextMentionTermination
from autogen_agentchat.teams import (
    BaseGroupChat,
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_core.tools import FunctionTool
from autogen_ext.models.replay import ReplayChatCompletionClient

_INFO: Final = ModelInfo(
    vision=False, function_calling=True, json_output=True, family="unknown", structured_output=False
)


def saying(*answers: str | CreateResult) -> ReplayChatCompletionClient:
    return ReplayChatCompletionClient(list(answers), model_info=_INFO)


def calls(tool: str, **arguments: object) -> CreateResult:
    call = FunctionCall("call-1", json.dumps(arguments), tool)
    return CreateResult(
        finish_reason="function_calls", content=[call], usage=RequestUsage(1, 1), cached=False, thought="hm"
    )


def agent(name: str, *answers: str | CreateResult, **settings: Any) -> AssistantAgent:
    return AssistantAgent(name, saying(*answers), description=f"is {name}", **settings)


def _round_robin() -> BaseGroupChat:
    return RoundRobinGroupChat(
        [agent("A", "a1", "a2", model_client_stream=True), agent("B", "b1", "b2")],
        max_turns=3,
        emit_team_events=True,
    )


def _with_tools() -> BaseGroupChat:
    async def look(word: str) -> str:
        return f"saw {word}"

    tools = [FunctionTool(look, name="look", description="looks")]
    return RoundRobinGroupChat(
        [agent("A", calls("look", word="x"), "a2", tools=tools, reflect_on_tool_use=True)],
        termination_condition=TextMentionTermination("a2"),
    )


def _selector() -> BaseGroupChat:
    members: list[ChatAgent | Team] = [agent("A", "a1"), agent("B", "b1"), agent("C", "c1")]
    ends = MaxMessageTermination(4)
    return SelectorGroupChat(members, saying("C", "A", "B"), termination_condition=ends, emit_team_events=True)


def _swarm() -> BaseGroupChat:
    first = agent("A", calls("transfer_to_b"), handoffs=["B"])
    second = agent("B", calls("transfer_to_user"), handoffs=[Handoff(target="user")])
    return Swarm([first, second], termination_condition=HandoffTermination("user"))


def _graph() -> BaseGroupChat:
    """A, then B and C at once, then D once both have spoken."""
    a, b, c, d = (agent(name, f"{name.lower()}1") for name in "ABCD")
    graph = DiGraphBuilder()
    for node in (a, b, c, d):
        graph.add_node(node)
    graph.add_edge(a, b).add_edge(a, c).add_edge(b, d).add_edge(c, d)
    return GraphFlow(graph.get_participants(), graph.build())


def _ledger(*, done: bool = False, progress: bool = True) -> str:
    entries = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": progress,
        "next_speaker": "A",
        "instruction_or_question": "go on",
    }
    return json.dumps({name: {"reason": "so", "answer": answer} for name, answer in entries.items()})


def _magentic() -> BaseGroupChat:
    """Plans, asks A, finds no progress, resets the agents, plans again, and ends."""
    first = ("facts", "plan", _ledger(), _ledger(progress=False))
    second = ("new facts", "new plan", _ledger(), _ledger(done=True), "the answer")
    return MagenticOneGroupChat(
        [agent("A", "a1", "a2"), agent("B")], model_client=saying(*first, *second), max_stalls=1
    )


def _society() -> BaseGroupChat:
    inner = RoundRobinGroupChat([agent("I", "i1"), agent("J", "j1")], max_turns=2)
    society = SocietyOfMindAgent("S", team=inner, model_client=saying("s1"))
    return RoundRobinGroupChat([society, agent("O", "o1")], max_turns=2)


def _team_in_team() -> BaseGroupChat:
    inner = RoundRobinGroupChat([agent("I", "i1", "i2"), agent("J", "j1", "j2")], max_turns=2, name="Inner")
    return RoundRobinGroupChat([inner, agent("O", "o1", "o2")], max_turns=3)


def _tools_that_run_agents() -> BaseGroupChat:
    team = TeamTool(RoundRobinGroupChat([agent("I", "i1")], max_turns=1), name="inner", description="a team")
    first = agent("A", calls("inner", task="go"), "a2", tools=[team])
    second = agent("B", calls("Helper", task="help"), "b2", tools=[AgentTool(agent("Helper", "h1"))])
    return RoundRobinGroupChat([first, second], max_turns=2)


KINDS: Final[Mapping[str, Callable[[], BaseGroupChat]]] = {
    "round robin": _round_robin,
    "with tools": _with_tools,
    "selector": _selector,
    "swarm": _swarm,
    "graph": _graph,
    "magentic": _magentic,
    "society": _society,
    "team in team": _team_in_team,
    "tools that run agents": _tools_that_run_agents,
}
