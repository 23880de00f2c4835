"""The shape of a built team: its members, and which of them can speak after which."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import (
    ExternalTermination,
    FunctionalTermination,
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    StopMessageTermination,
    TextMentionTermination,
    TimeoutTermination,
    TokenUsageTermination,
)
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
)
from autogen_core.models import UserMessage
from autogen_ext.tools.mcp import McpWorkbench, StdioServerParams, StreamableHttpServerParams

from aiostream_server.config.model import Config, DemoModelConfig
from aiostream_server.models.client import StreamingClient
from aiostream_server.models.demo.provider import DemoProvider
from aiostream_server.models.provider import ModelLabel
from aiostream_server.service.trial import inspect_team
from aiostream_server.teams.autogen_private.fresh_team import name_speakers, stream_orchestrator_answer
from aiostream_server.teams.shape import AgentShape, Edge, TeamShape, names_in, shape_of
from aiostream_server.teams.tools.mcp.connection import McpSettings
from aiostream_server.teams.tools.mcp.server import McpServer
from aiostream_server.teams.tools.mcp.transport import Program
from aiostream_server.teams.tools.mcp.workbench import McpToolset
from tests.kit.sample_teams import OnlyRuns
from tests.teams.kinds import KINDS, agent, saying

EDGES: Mapping[str, set[str]] = {
    "round robin": {"A>B", "B>A"},
    "with tools": {"A>A"},
    "selector": set(),
    "swarm": {"A>B", "B>user"},
    "graph": {"A>B", "A>C", "B>D", "C>D"},
    "magentic": set(),
    "society": {"S>O"},
    "team in team": {"Inner>O", "O>Inner"},
    "tools that run agents": {"A>B"},
}


def team_of(kind: str) -> TeamShape:
    shape = shape_of(KINDS[kind]())
    assert isinstance(shape, TeamShape)
    return shape


@pytest.mark.parametrize("kind", EDGES)
def test_edges_lead_to_the_possible_next_speakers(kind: str) -> None:
    assert {f"{edge.source}>{edge.target}" for edge in team_of(kind).edges} == EDGES[kind]


def test_names_of_inner_agents_and_managers_are_found() -> None:
    assert {"S", "I", "J", "O"} <= {*names_in(team_of("society"))}
    assert {"Inner", "I", "J", "O"} <= {*names_in(team_of("team in team"))}
    tools = team_of("tools that run agents")
    assert {"A", "I", "B", "Helper"} <= {*names_in(tools)}
    first = tools.members[0]
    assert isinstance(first, AgentShape)
    assert [each.how for each in first.inside] == ["tool inner"]
    manager = team_of("magentic").manager
    assert manager is not None
    assert manager.name == "MagenticOneOrchestrator"


def test_tools_models_and_people_are_read() -> None:
    (member,) = team_of("with tools").members
    assert member == AgentShape("A", "AssistantAgent", "Replay", ("look",))
    person = team_of("swarm").members[-1]
    assert person == AgentShape("user", "the user", is_person=True)
    assert shape_of(OnlyRuns()) == AgentShape("OnlyRuns", "OnlyRuns")


def test_conditions_are_words() -> None:
    def is_well(message: BaseChatMessage) -> bool:
        return bool(message)

    a, b, c, d = (agent(name) for name in "ABCD")
    graph = DiGraphBuilder().add_node(a).add_node(b, activation="any").add_node(c).add_node(d).set_entry_point(a)
    graph.add_edge(a, b, condition="OK").add_edge(b, c, condition=is_well)
    graph.add_edge(a, c, condition=lambda message: "NO" in message.to_model_text(), activation_group="short cut")
    graph.add_edge(c, b).add_edge(c, d)
    shape = shape_of(GraphFlow(graph.get_participants(), graph.build(), max_turns=9))
    assert isinstance(shape, TeamShape)
    assert [*shape.edges] == [
        Edge("A", "B", 'if "OK" is said'),
        Edge("A", "C", "if a function says so"),
        Edge("B", "C", "if is well"),
        Edge("C", "B"),
        Edge("C", "D"),
    ]
    assert shape.joins == {"B": "after A or C", "C": "after A or B"}
    assert (shape.starts, shape.ends) == (("A",), ("after 9 turns",))


def test_termination_conditions_are_words() -> None:
    ends = (
        TextMentionTermination("STOP")
        | (MaxMessageTermination(4) & SourceMatchTermination(["A", "B"]))
        | HandoffTermination("user")
        | TimeoutTermination(2.5)
        | TokenUsageTermination(max_total_token=100)
        | ExternalTermination()
        | StopMessageTermination()
    )
    shape = shape_of(RoundRobinGroupChat([agent("A"), agent("B")], termination_condition=ends, max_turns=1))
    assert isinstance(shape, TeamShape)
    assert shape.ends == (
        'when "STOP" is said',
        "after 4 messages, the question included and when A or B has spoken",
        "at a handoff to user",
        "after 2.5 s",
        "after 100 total tokens",
        "when it is told to from outside",
        "at a stop message",
        "after 1 turn",
    )
    of_ones_own = FunctionalTermination(lambda messages: len(messages) > 2)
    shape = shape_of(RoundRobinGroupChat([agent("A")], termination_condition=of_ones_own))
    assert isinstance(shape, TeamShape)
    assert shape.ends == ("when a function says so",)


def test_conditions_beside_one_that_cannot_be_dumped_are_told() -> None:
    """AutoGen refuses to dump any of them, and warns of it."""
    function = FunctionalTermination(lambda messages: len(messages) > 2)
    ends = (function & TextMentionTermination("STOP")) | TimeoutTermination(2) | function
    shape = shape_of(RoundRobinGroupChat([agent("A")], termination_condition=ends))
    assert isinstance(shape, TeamShape)
    assert shape.ends == (
        'when a function says so and when "STOP" is said',
        "after 2 s",
        "when a function says so",
    )


def test_an_orchestrators_model_keeps_its_name() -> None:
    client = StreamingClient(DemoProvider(), label=ModelLabel("large", "gpt-4.1", "openai"))
    team = MagenticOneGroupChat([agent("A")], model_client=client)
    name_speakers(team)
    shape = shape_of(team)
    assert isinstance(shape, TeamShape)
    assert shape.manager is not None
    assert shape.manager.model == "gpt-4.1"


async def test_an_orchestrators_usage_counts_for_its_model() -> None:
    client = StreamingClient(DemoProvider())
    stream_orchestrator_answer(team := MagenticOneGroupChat([agent("A")], model_client=client))
    inner = vars(team)["_model_client"]
    await inner.create([UserMessage(content="hi", source="user")])
    assert inner.total_usage() == client.total_usage()
    assert client.total_usage().prompt_tokens


def test_a_selector_that_always_chooses_by_a_function_has_no_model() -> None:
    def always(_: Sequence[BaseAgentEvent | BaseChatMessage]) -> str:
        return "A"

    def sometimes(_: Sequence[BaseAgentEvent | BaseChatMessage]) -> str | None:
        return None

    for function, model in ((always, None), (sometimes, "Replay")):
        team = SelectorGroupChat([agent("A"), agent("B")], model_client=saying(), selector_func=function)
        shape = shape_of(team)
        assert isinstance(shape, TeamShape)
        assert shape.manager is not None
        assert shape.manager.model == model
        assert ("else a model" in shape.manager.kind) == (model is not None)


async def test_the_data_team_names_members_only(tmp_path: Path) -> None:
    seen = await inspect_team(Config(models={"default": DemoModelConfig(provider="demo")}), tmp_path, "data")
    assert isinstance(seen.shape, TeamShape)
    assert seen.shape.manager is not None
    assert seen.shape.manager.model is None
    assert not any("Approval" in end or "handoff" in end for end in seen.shape.ends)


def test_the_tools_of_a_server_are_named_by_it() -> None:
    """`[tools.NAME]` by its name; AutoGen's workbench by its command or host."""
    program, service = Program("no-such-program", (), {}, Path()), StdioServerParams(command="/usr/bin/uvx", args=["x"])
    ours = McpToolset(McpServer(McpSettings(name="files", place=program, call_timeout_s=1.0, source="[tools.files]")))
    url = StreamableHttpServerParams(url="https://mcp.example.org/x")
    benches = [ours, McpWorkbench(service), McpWorkbench(url)]
    for bench, name in zip(benches, ("files", "uvx", "mcp.example.org"), strict=True):
        shape = shape_of(AssistantAgent("A", saying(), workbench=bench))
        assert isinstance(shape, AgentShape)
        assert shape.tools == (f"those of {name}",)
