"""What is read of a built team: who is in it, and who can speak to whom."""

from collections.abc import Mapping

import pytest
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
from autogen_agentchat.messages import BaseChatMessage
from autogen_agentchat.teams import DiGraphBuilder, GraphFlow, RoundRobinGroupChat

from aiostream_server.teams.shape import AgentShape, Edge, TeamShape, names_in, shape_of
from tests.sample_teams import OnlyRuns
from tests.teams.kinds import KINDS, agent

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
def test_who_follows_whom(kind: str) -> None:
    assert {f"{edge.source}>{edge.target}" for edge in team_of(kind).edges} == EDGES[kind]


def test_everybody_is_found_inside_of_others_too() -> None:
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


def test_tools_models_and_people_are_told() -> None:
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


def test_what_ends_a_run_is_told() -> None:
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
