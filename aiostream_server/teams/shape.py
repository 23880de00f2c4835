"""The shape of a built team, as plain values: its members, and which of them can speak after which."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from itertools import chain
from pathlib import Path
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.base import AndTerminationCondition, OrTerminationCondition, TerminationCondition
from autogen_agentchat.conditions import FunctionalTermination
from autogen_agentchat.teams import (
    DiGraph,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)

from aiostream_server.models.client import StreamingClient
from aiostream_server.models.provider import UNNAMED
from aiostream_server.teams.autogen_private.structure import TeamParts, conditions_in, parts_of, run_by_tool
from aiostream_server.teams.termination_text import counted, termination_texts

Order: TypeAlias = Literal["ring", "chosen", "handoffs", "graph", "unknown"]


@dataclass(frozen=True, slots=True)
class Inside:
    """A team or agent inside an agent. `how` is "speaks through", or "tool NAME"."""

    how: str
    shape: "Shape"


@dataclass(frozen=True, slots=True)
class AgentShape:
    """A speaker. `tools` are names, without those of `inside`."""

    name: str
    kind: str
    model: str | None = None
    tools: tuple[str, ...] = ()
    is_person: bool = False
    inside: tuple[Inside, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` can speak after `source`, under the condition `when`; "" stands for always."""

    source: str
    target: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class TeamShape:
    """A group chat. `manager` chooses the next speaker, and is no member; None if the order is fixed.

    `starts` are the members that may speak first. `joins` says for which others a member waits. `ends` are the
    conditions of which each ends a run.
    """

    name: str
    kind: str
    order: Order
    members: tuple["Shape", ...]
    edges: tuple[Edge, ...] = ()
    starts: tuple[str, ...] = ()
    joins: Mapping[str, str] | None = None
    ends: tuple[str, ...] = ()
    manager: AgentShape | None = None


Shape: TypeAlias = AgentShape | TeamShape


def shape_of(team: object) -> Shape:
    """The shape of a team or an agent, or of anything else that a factory may return."""
    parts = parts_of(team)
    return _agent(team, parts) if parts.participants is None else _group(team, parts, parts.participants)


def _agent(agent: object, parts: TeamParts) -> AgentShape:
    kind = type(agent).__name__
    inside = [Inside("speaks through", shape_of(inner)) for inner in parts.inner]
    runners = {_tool_name(tool): runner for tool in parts.tools if (runner := run_by_tool(tool)) is not None}
    inside += [Inside(f"tool {name}", shape_of(runner)) for name, runner in runners.items()]
    plain = [name for tool in parts.tools if (name := _tool_name(tool)) not in runners]
    return AgentShape(
        name=_name_of(agent, kind),
        kind=kind,
        model=_model(parts.client),
        tools=(*plain, *map(_workbench, parts.closed_workbenches)),
        is_person=isinstance(agent, UserProxyAgent),
        inside=tuple(inside),
    )


def _group(team: object, parts: TeamParts, participants: Sequence[object]) -> TeamShape:
    members = [shape_of(each) for each in participants]
    names = [member.name for member in members]
    handoffs = [
        Edge(name, target) for name, each in zip(names, participants, strict=True) for target in parts_of(each).handoffs
    ]
    outside = [edge for edge in handoffs if edge.target not in names]
    order, edges, starts = _order(team, parts, names, handoffs)
    edges += [edge for edge in outside if edge not in edges]
    members += [AgentShape(name, "the user", is_person=True) for name in dict.fromkeys(edge.target for edge in outside)]
    return TeamShape(
        name=_name_of(team, type(team).__name__),
        kind=type(team).__name__,
        order=order,
        members=tuple(members),
        edges=tuple(edges),
        starts=tuple(starts),
        joins=_joins(parts.graph) if isinstance(parts.graph, DiGraph) else None,
        ends=tuple(_ends(parts)),
        manager=_manager(team, parts),
    )


def _order(
    team: object, parts: TeamParts, names: Sequence[str], handoffs: Sequence[Edge]
) -> tuple[Order, list[Edge], Sequence[str]]:
    match team:
        case GraphFlow() if isinstance(parts.graph, DiGraph):
            edges = [
                Edge(node.name, edge.target, _condition(edge.condition, edge.condition_function))
                for node in parts.graph.nodes.values()
                for edge in node.edges
            ]
            first = parts.graph.default_start_node
            return "graph", edges, [first] if first else sorted(parts.graph.get_start_nodes(), key=names.index)
        case Swarm():
            return "handoffs", list(handoffs), names[:1]
        case RoundRobinGroupChat():
            comes_round = parts.max_turns is None or parts.max_turns > len(names)
            following = [*names[1:], *(names[:1] if comes_round else ())]
            return "ring", [Edge(*pair) for pair in zip(names, following, strict=False)], names[:1]
        case SelectorGroupChat() | MagenticOneGroupChat():
            return "chosen", [], ()
    return "unknown", [], ()


def _manager(team: object, parts: TeamParts) -> AgentShape | None:
    if isinstance(team, MagenticOneGroupChat):
        return AgentShape("MagenticOneOrchestrator", "plans, and says who is next", _model(parts.client))
    if isinstance(team, SelectorGroupChat):
        if parts.selects is None:
            return AgentShape("selector", "says who is next", _model(parts.client))
        if _always_selects(parts.selects):
            return AgentShape("selector", "a function says who is next")
        return AgentShape("selector", "a function, else a model, says who is next", _model(parts.client))
    return None


def _always_selects(function: object) -> bool:
    """Whether its annotation excludes None. A function that returns None leaves the choice to the model."""
    try:
        says = signature(function).return_annotation  # type: ignore[arg-type]  # of others: TypeError
    except (TypeError, ValueError):
        return False
    return says is str or says == "str"


def _condition(text: object, function: Callable[..., bool] | None) -> str:
    if isinstance(text, str):
        return f'if "{text}" is said'
    name = getattr(function, "__name__", "")
    if function is None:
        return ""
    return f"if {name.strip('_').replace('_', ' ')}" if name.isidentifier() else "if a function says so"


def _joins(graph: DiGraph) -> Mapping[str, str]:
    """For each node with several parents: whether it waits for all of them, or for any."""
    waits: dict[str, str] = {}
    for name, parents in graph.get_parents().items():
        if len(parents) > 1:
            groups: dict[str, list[str]] = {}
            hows: dict[str, str] = {}
            for parent in dict.fromkeys(parents):
                for edge in graph.nodes[parent].edges:
                    if edge.target == name:
                        groups.setdefault(edge.activation_group, []).append(parent)
                        hows[edge.activation_group] = edge.activation_condition
            said = [_waits_for(each, hows[group], graph.nodes[name].activation) for group, each in groups.items()]
            waits[name] = "after " + " or ".join(said)
    return waits


def _waits_for(parents: Sequence[str], condition: str, activation: str) -> str:
    return (" or " if "any" in (condition, activation) else " and ").join(parents)


def _ends(parts: TeamParts) -> Iterator[str]:
    if isinstance(parts.termination, TerminationCondition):
        yield from _conditions(parts.termination)
    if parts.max_turns is not None:
        yield f"after {counted(parts.max_turns, 'turn')}"


def _conditions(condition: TerminationCondition) -> Iterator[str]:
    """What holds a function cannot be dumped, and AutoGen warns of it. So `|` and `&` are taken apart."""
    kind = type(condition).__name__
    inner = [each for each in conditions_in(condition) if isinstance(each, TerminationCondition)]
    if isinstance(condition, OrTerminationCondition):
        return chain.from_iterable(map(_conditions, inner))
    if isinstance(condition, AndTerminationCondition):
        return iter([" and ".join(" or ".join(_conditions(each)) for each in inner)])
    if isinstance(condition, FunctionalTermination):
        return termination_texts(kind, {})
    try:
        dumped = condition.dump_component()
    except Exception:  # a user's own class may lack what it takes
        return termination_texts(kind, {})
    return termination_texts(dumped.provider, dumped.config)


def _name_of(thing: object, otherwise: str) -> str:
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) and name else otherwise


def _tool_name(tool: object) -> str:
    return _name_of(tool, type(tool).__name__)


def _workbench(workbench: object) -> str:
    """A name for a workbench that is not open: `NAME` of `[tools.NAME]`, or the program or host of AutoGen's."""
    params = getattr(workbench, "server_params", None)
    command, url = getattr(params, "command", None), getattr(params, "url", None)
    place = Path(command).name if isinstance(command, str) else urlsplit(url).hostname if isinstance(url, str) else None
    return f"those of {_name_of(workbench, place or type(workbench).__name__)}"


def _model(client: object | None) -> str | None:
    """The name that the provider uses, else the one of the configuration, else the client's class."""
    if client is None:
        return None
    if isinstance(client, StreamingClient) and client.label is not UNNAMED:
        return client.label.model or client.label.name
    return type(client).__name__.removesuffix("ChatCompletionClient") or type(client).__name__


def names_in(shape: Shape) -> Iterator[str]:
    """The names of all members, nested ones, managers and people included."""
    yield shape.name
    inner: Iterable[Shape]
    if isinstance(shape, AgentShape):
        inner = [each.shape for each in shape.inside]
    else:
        inner = [*shape.members, *([shape.manager] if shape.manager else [])]
    for each in inner:
        yield from names_in(each)
