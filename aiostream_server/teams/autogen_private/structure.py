"""What an AutoGen team is made of: agents, nested teams, tools and model clients.

Agents that are used as tools (`AgentTool`, `TeamTool`) speak, but are no participants: the team's messages do not
reach them, and their memory is not saved with the team.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeGuard, TypeVar

from autogen_core.code_executor import CodeExecutor
from autogen_core.model_context import ChatCompletionContext

if TYPE_CHECKING:
    from autogen_ext.tools.langchain import LangChainToolAdapter

_Kind = TypeVar("_Kind")


def is_a(thing: object, kind: type[_Kind]) -> TypeGuard[_Kind]:
    """Like `isinstance`, which takes 2 µs for AutoGen's classes, since they derive from a `Protocol`."""
    return kind in type(thing).__mro__


def participants_of(thing: object) -> Sequence[object] | None:
    """The members of a group chat; None for anything else."""
    return _listed(getattr(thing, "_participants", None))


def _listed(things: object) -> Sequence[object] | None:
    """Tests for the types in which AutoGen keeps them: a test for `Sequence` takes ten times as long."""
    return things if isinstance(things, list | tuple) else None


def inner_of(agent: object) -> Iterator[object]:
    """What an agent speaks through: the team of a `SocietyOfMindAgent`, the agent of a `MessageFilterAgent`."""
    for attribute in ("_team", "_wrapped_agent"):
        if (inner := getattr(agent, attribute, None)) is not None:
            yield inner


def model_client_of(thing: object) -> object | None:
    return getattr(thing, "_model_client", None)


def workbenches_of(agent: object) -> Sequence[object]:
    return _listed(getattr(agent, "_workbench", None)) or ()


def tools_of(agent: object) -> Iterator[object]:
    """The tools that are known before a workbench is opened."""
    for workbench in workbenches_of(agent):
        yield from getattr(workbench, "_tools", ())


def tools_in(workbench: object) -> Sequence[object] | None:
    """The tools of one workbench; None for one that shows them only once it is opened."""
    return _listed(getattr(workbench, "_tools", None))


def run_by_tool(tool: object) -> object | None:
    """The agent or team that an `AgentTool` or a `TeamTool` runs; None for any other tool."""
    return getattr(tool, "_task_runner", None)


class Everything(tuple[object, ...]):
    """What `everything_in` found. The functions here that look at all of a team take this instead of the team, too."""

    __slots__ = ()


def everything_in(team: object) -> Everything:
    """The team and each agent and team below it, as participant, inner team or tool: each of them once."""
    if isinstance(team, Everything):
        return team
    found: dict[int, object] = {}
    waiting = [team]
    while waiting:
        if id(thing := waiting.pop()) not in found:
            found[id(thing)] = thing
            waiting += _directly_in(thing)
    return Everything(found.values())


def _directly_in(team: object) -> Iterator[object]:
    yield from participants_of(team) or ()
    yield from inner_of(team)
    yield from (runner for tool in tools_of(team) if (runner := run_by_tool(tool)) is not None)


def agents_in(team: object) -> Iterator[object]:
    """The team's agents and those of nested teams, without agents in tools; a lone agent yields itself."""
    participants = participants_of(team)
    if participants is None:
        yield team
    for inner in inner_of(team) if participants is None else participants:
        yield from agents_in(inner)


def all_agents(team: object) -> Iterator[object]:
    """The same, with agents in tools."""
    return (thing for thing in everything_in(team) if participants_of(thing) is None)


def model_contexts(team: object) -> Iterator[ChatCompletionContext]:
    """The message histories that agents send to their models."""
    for agent in agents_in(team):
        context = getattr(agent, "model_context", None)
        if isinstance(context, ChatCompletionContext):
            yield context


@dataclass(frozen=True, slots=True)
class TeamParts:
    """The parts of an agent or a team; a part that it does not have is empty.

    `participants` is None unless it is a group chat. `closed_workbenches` show their tools only once they are opened.
    `handoffs` are agent names. `selects` is a function that chooses the next speaker.
    """

    participants: Sequence[object] | None
    inner: Sequence[object]
    client: object | None
    tools: Sequence[object]
    closed_workbenches: Sequence[object]
    handoffs: Sequence[str]
    termination: object | None
    max_turns: int | None
    graph: object | None
    selects: object | None


def parts_of(thing: object) -> TeamParts:
    handoffs = getattr(thing, "_handoffs", None)
    return TeamParts(
        participants=participants_of(thing),
        inner=tuple(inner_of(thing)),
        client=model_client_of(thing),
        tools=tuple(tools_of(thing)),
        closed_workbenches=[bench for bench in workbenches_of(thing) if bench and not hasattr(bench, "_tools")],
        handoffs=[str(each.target) for each in handoffs.values()] if isinstance(handoffs, dict) else [],
        termination=getattr(thing, "_termination_condition", None),
        max_turns=getattr(thing, "_max_turns", None),
        graph=getattr(thing, "_graph", None),
        selects=getattr(thing, "_selector_func", None),
    )


def conditions_in(condition: object) -> Sequence[object]:
    """The conditions that one made with `|` or `&` consists of."""
    return _listed(getattr(condition, "_conditions", None)) or ()


def handoff_names(agent: object) -> Sequence[str]:
    """The names of the tools by which an agent hands off."""
    handoffs = getattr(agent, "_handoffs", None)
    return list(handoffs) if isinstance(handoffs, dict) else []


def handoff_tools(agent: object) -> Sequence[object]:
    return _listed(getattr(agent, "_handoff_tools", None)) or ()


def replace_workbenches(agent: object, workbenches: Sequence[object]) -> None:
    vars(agent)["_workbench"] = list(workbenches)


def code_executors_in(team: object) -> Iterator[CodeExecutor]:
    """The code executors of agents and of tools, each once."""
    found: dict[int, CodeExecutor] = {}
    for thing in everything_in(team):
        candidates = [getattr(thing, "_code_executor", None)]
        candidates += [getattr(tool, "_executor", None) for tool in tools_of(thing)]
        for candidate in candidates:
            if candidate is not None and isinstance(candidate, CodeExecutor):
                found[id(candidate)] = candidate
    return iter(found.values())


def is_unstarted_executor(executor: CodeExecutor) -> bool:
    state = vars(executor)
    return state.get("_running", state.get("_started")) is False


def await_in_loop(adapter: "LangChainToolAdapter", coroutine: Callable[..., object]) -> None:
    """Run a LangChain tool's coroutine. AutoGen runs its plain function in a thread; without one the tool fails."""
    adapter._callable = coroutine
