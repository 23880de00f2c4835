"""Who is in a team, and who can speak to whom: read from a built team, as plain values to draw, dump and compare."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from inspect import signature
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.base import TerminationCondition
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
from aiostream_server.teams.autogen_private.structure import Parts, parts_of, run_by_tool

Order: TypeAlias = Literal["ring", "chosen", "handoffs", "graph", "unknown"]


@dataclass(frozen=True, slots=True)
class Inside:
    """What an agent runs: `how` is "speaks through", or "tool NAME"."""

    how: str
    shape: "Shape"


@dataclass(frozen=True, slots=True)
class AgentShape:
    """One who can speak. `model` is None without one; `tools` are names, those in `inside` not among them."""

    name: str
    kind: str
    model: str | None = None
    tools: tuple[str, ...] = ()
    is_person: bool = False
    inside: tuple[Inside, ...] = ()


@dataclass(frozen=True, slots=True)
class Edge:
    """`target` can speak after `source`; `when` says under which condition, and is empty where it always may."""

    source: str
    target: str
    when: str = ""


@dataclass(frozen=True, slots=True)
class TeamShape:
    """A group. `manager` chooses who speaks, where somebody does; it is no member. `starts` are those that may begin;
    `joins` tells of the members that wait for others how they do. `ends` is what ends a run; any of it does."""

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
    """Of a built team or agent, or of anything that a factory may return."""
    parts = parts_of(team)
    return _agent(team, parts) if parts.participants is None else _group(team, parts, parts.participants)


def _agent(agent: object, parts: Parts) -> AgentShape:
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


def _group(team: object, parts: Parts, participants: Sequence[object]) -> TeamShape:
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
    team: object, parts: Parts, names: Sequence[str], handoffs: Sequence[Edge]
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


def _manager(team: object, parts: Parts) -> AgentShape | None:
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
    """Whether its annotation says that it never returns None, with which the model is asked."""
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
    """Of the nodes that are led to from several: whether they wait for all of them."""
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


def _ends(parts: Parts) -> Iterator[str]:
    if isinstance(parts.termination, TerminationCondition):
        yield from _conditions(parts.termination)
    if parts.max_turns is not None:
        yield f"after {_counted(parts.max_turns, 'turn')}"


def _conditions(condition: TerminationCondition) -> Iterator[str]:
    try:
        dumped = condition.dump_component()
    except Exception:  # conditions of one's own, and functions, cannot be dumped
        yield _PLAIN_WORDS.get(type(condition).__name__, type(condition).__name__)
        return
    yield from _words(dumped.provider, dumped.config)


def _words(provider: str, config: Mapping[str, Any]) -> Iterator[str]:
    kind = provider.rpartition(".")[2]
    if kind == "OrTerminationCondition":
        for each in config["conditions"]:
            yield from _words(each["provider"], each["config"])
    elif kind == "AndTerminationCondition":
        yield " and ".join(" or ".join(_words(each["provider"], each["config"])) for each in config["conditions"])
    else:
        yield _said(kind, config)


def _said(kind: str, config: Mapping[str, Any]) -> str:
    match kind:
        case "MaxMessageTermination":
            return f"after {_counted(config['max_messages'], 'message')}, the question included"
        case "TextMentionTermination":
            return f'when "{config["text"]}" is said'
        case "HandoffTermination":
            return f"at a handoff to {config['target']}"
        case "TextMessageTermination":
            return f"when {config.get('source') or 'anybody'} has answered"
        case "SourceMatchTermination":
            return f"when {' or '.join(config['sources'])} has spoken"
        case "TimeoutTermination":
            return f"after {config['timeout_seconds']:g} s"
        case "TokenUsageTermination":
            limits = {name.split("_")[1]: config.get(name) for name in config if config.get(name)}
            return "after " + " or ".join(f"{limit} {of} tokens" for of, limit in limits.items())
        case "FunctionCallTermination":
            return f"when the tool {config['function_name']} has run"
    return _PLAIN_WORDS.get(kind, kind)


_PLAIN_WORDS: Final = {
    "StopMessageTermination": "at a stop message",
    "ExternalTermination": "when it is told to from outside",
    "FunctionalTermination": "when a function says so",
}


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _name_of(thing: object, otherwise: str) -> str:
    name = getattr(thing, "name", None)
    return name if isinstance(name, str) and name else otherwise


def _tool_name(tool: object) -> str:
    return _name_of(tool, type(tool).__name__)


def _workbench(workbench: object) -> str:
    """Its tools are only known once it is opened: that of `[tools.NAME]` is called so, AutoGen's by what it starts."""
    params = getattr(workbench, "server_params", None)
    command, url = getattr(params, "command", None), getattr(params, "url", None)
    place = Path(command).name if isinstance(command, str) else urlsplit(url).hostname if isinstance(url, str) else None
    return f"those of {_name_of(workbench, place or type(workbench).__name__)}"


def _model(client: object | None) -> str | None:
    """A name for people: the provider's, else the configuration's, else the client's class."""
    if client is None:
        return None
    if isinstance(client, StreamingClient) and client.label is not UNNAMED:
        return client.label.model or client.label.name
    return type(client).__name__.removesuffix("ChatCompletionClient") or type(client).__name__


def names_in(shape: Shape) -> Iterator[str]:
    """Of everybody in it, nested ones, managers and people included."""
    yield shape.name
    inner: Iterable[Shape]
    if isinstance(shape, AgentShape):
        inner = [each.shape for each in shape.inside]
    else:
        inner = [*shape.members, *([shape.manager] if shape.manager else [])]
    for each in inner:
        yield from names_in(each)
