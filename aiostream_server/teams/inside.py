"""What is inside an AutoGen team. The one place that reads AutoGen's private attributes (autogen-agentchat 0.7.5).

Agents that are used as tools (`AgentTool`, `TeamTool`) speak, but take no part in the conversation: it is not given to
them, and their memory is not kept. AutoGen names no speaker for an agent that runs outside a group chat, and the wrong
one for an agent that runs inside another: in a tool, or in a `MessageFilterAgent`.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from autogen_agentchat.agents import BaseChatAgent, CodeExecutorAgent, UserProxyAgent
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_agentchat.teams import BaseGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.model_context import ChatCompletionContext
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import FunctionTool

from aiostream_server.models.client import StreamingClient
from aiostream_server.teams.orchestrator import ORCHESTRATOR, has_orchestrator, let_answer
from aiostream_server.teams.runtime.runtime import TeamRuntime, replaces
from aiostream_server.teams.runtime.waiting import OutputQueue


def agents_in(team: object) -> Iterator[object]:
    """The team's agents, those of nested teams included; a lone agent is its own. Those in tools are not among them."""
    participants = getattr(team, "_participants", None)
    if participants is not None:
        for participant in participants:
            yield from agents_in(participant)
        return
    yield team
    for inner in _inside_agent(team):
        yield from agents_in(inner)


def name_speakers(team: object) -> None:
    """Give every agent a model client that knows its name, wherever the agent runs. See the module's docstring."""
    for group in everything_in(team):
        let_answer(group)
    for agent in _all_agents(team):
        client, name = getattr(agent, "_model_client", None), getattr(agent, "name", None)
        if isinstance(client, StreamingClient) and isinstance(name, str):
            vars(agent)["_model_client"] = client.speaking_as(name)


def use_team_runtimes(team: object) -> None:
    """Give a team that has never run, and every team inside it, a runtime of our own.

    A team keeps AutoGen's runtime if it was given one, has used the one it made, or is traced by OpenTelemetry (the
    spans of messages are AutoGen's). So does every team of an AutoGen whose insides are not those that are known.
    """
    for group in everything_in(team):
        if _runtime_may_change(group):
            vars(group)["_runtime"] = TeamRuntime()
            queue = vars(group).get("_output_message_queue")
            if type(queue) is asyncio.Queue and queue.empty() and not queue.maxsize:
                vars(group)["_output_message_queue"] = OutputQueue[object]()


def wait_for_people(team: object) -> None:
    """Keep every `UserProxyAgent` from reading the server's own input, whatever function it was given.

    It asks (`UserInputRequestedEvent`), and waits until the run's token is cancelled. Those of agents that are used as
    tools are found, too.
    """
    for agent in _people_in(team):
        agent.input_func = _wait_until_cancelled
        agent._is_async = True  # noqa: SLF001 - worked out once, from the function that is replaced


def people_in(team: object) -> frozenset[str]:
    """The names of the agents that stand for a person."""
    return frozenset(agent.name for agent in _people_in(team))


def participant_names(team: object) -> frozenset[str]:
    """Who takes part in a group chat itself; of a nested team its own name, not those of its agents."""
    return frozenset(participant.name for participant in getattr(team, "_participants", ()))


def group_thread(team: object) -> Sequence[BaseAgentEvent | BaseChatMessage]:
    """What was said in a group chat that has run, or that a saved state was loaded into; empty of anything else."""
    runtime, manager = getattr(team, "_runtime", None), getattr(team, "_group_chat_manager_topic_type", None)
    agents = getattr(runtime, "_instantiated_agents", {})
    managers = (agent for agent_id, agent in agents.items() if agent_id.type == manager)
    return tuple(getattr(next(managers, None), "_message_thread", ()))


def shape_of(team: object) -> list[str]:
    """What a team is made of: a state belongs to teams of the same shape only."""
    agents = (f"{getattr(agent, 'name', '')}: {type(agent).__qualname__}" for agent in agents_in(team))
    return [type(team).__qualname__, *agents]


def agent_names(team: object) -> frozenset[str]:
    """Who can speak, in tools, too. Selectors and other managers are not among them; Magentic-One's answers itself."""
    names = {getattr(agent, "name", None) for agent in _all_agents(team)}
    if any(map(has_orchestrator, everything_in(team))):
        names.add(ORCHESTRATOR)
    return frozenset(name for name in names if isinstance(name, str))


def tells_names(team: object) -> bool:
    """Whether nobody can speak in it but those of `agent_names`: all that is in it are AutoGen's agents and teams."""
    return all(isinstance(thing, BaseChatAgent | BaseGroupChat) for thing in everything_in(team))


def answerers(team: object) -> frozenset[str]:
    """Whose words are the answer where nobody said so: a lone agent's, whatever agents it has inside, or an
    orchestrator's."""
    if has_orchestrator(team):
        return frozenset({ORCHESTRATOR})
    participants = getattr(team, "_participants", None)
    if participants is not None:
        return answerers(participants[0]) if len(participants) == 1 else frozenset()
    if (wrapped := getattr(team, "_wrapped_agent", None)) is not None:
        return answerers(wrapped)
    name = getattr(team, "name", None)
    return frozenset({name} if isinstance(name, str) else ())


def code_runners(team: object) -> frozenset[str]:
    """The agents whose messages are what code that others wrote has printed."""
    runners = (agent for agent in _all_agents(team) if isinstance(agent, CodeExecutorAgent))
    return frozenset(agent.name for agent in runners if getattr(agent, "_model_client", None) is None)


def model_contexts(team: object) -> Iterator[ChatCompletionContext]:
    """Where agents keep the conversation that they show to their models."""
    for agent in agents_in(team):
        context = getattr(agent, "model_context", None)
        if isinstance(context, ChatCompletionContext):
            yield context


def sees_images(team: object) -> bool:
    """Whether the models of all its agents do. An agent without a model is shown what there is."""
    clients = (getattr(agent, "_model_client", None) for agent in agents_in(team))
    return all(client.model_info["vision"] for client in clients if isinstance(client, ChatCompletionClient))


def tools_in_threads(team: object) -> frozenset[str]:
    """The tools that AutoGen runs in a thread, where nothing can end them: plain functions."""
    tools = (tool for agent in _all_agents(team) for tool in _tools_of(agent))
    return frozenset(tool.name for tool in tools if not asyncio.iscoroutinefunction(tool._func))  # noqa: SLF001


def _tools_of(agent: object) -> Iterator[FunctionTool]:
    workbenches = getattr(agent, "_workbench", None)
    for workbench in workbenches if isinstance(workbenches, Sequence) else ():
        for tool in getattr(workbench, "_tools", ()):
            if isinstance(tool, FunctionTool):
                yield tool


async def _wait_until_cancelled(_: str, cancellation_token: CancellationToken | None) -> str:
    answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    if cancellation_token is not None:
        cancellation_token.link_future(answer)
    return await answer


def everything_in(team: object) -> Iterator[object]:
    """The team, and whatever agents and teams take part in it, stand in it, or are used in it as tools: each once."""
    found: dict[int, object] = {}
    waiting = [team]
    while waiting:
        if id(thing := waiting.pop()) not in found:
            found[id(thing)] = thing
            waiting += _directly_in(thing)
    return iter(found.values())


def _directly_in(team: object) -> Iterator[object]:
    participants = getattr(team, "_participants", None)
    yield from participants if isinstance(participants, Sequence) else ()
    yield from _inside_agent(team)
    workbenches = getattr(team, "_workbench", None)
    for workbench in workbenches if isinstance(workbenches, Sequence) else ():
        for tool in getattr(workbench, "_tools", ()):
            if (inner := getattr(tool, "_task_runner", None)) is not None:  # AgentTool, TeamTool
                yield inner


def _all_agents(team: object) -> Iterator[object]:
    return (thing for thing in everything_in(team) if getattr(thing, "_participants", None) is None)


def _inside_agent(agent: object) -> Iterator[object]:
    """What an agent speaks through: the team of a `SocietyOfMindAgent`, the agent of a `MessageFilterAgent`."""
    for attribute in ("_team", "_wrapped_agent"):
        if (inner := getattr(agent, attribute, None)) is not None:
            yield inner


def _people_in(team: object) -> Iterator[UserProxyAgent]:
    return (agent for agent in everything_in(team) if isinstance(agent, UserProxyAgent))


def _runtime_may_change(group: object) -> bool:
    """Whether its runtime is one that AutoGen made for it, and nobody has used or prepared yet."""
    runtime = getattr(group, "_runtime", None)
    return (
        type(runtime) is SingleThreadedAgentRuntime
        and getattr(group, "_embedded_runtime", None) is True
        and getattr(group, "_initialized", None) is False
        and getattr(group, "_is_running", None) is False
        and getattr(runtime, "_agent_factories", None) == {}
        and getattr(runtime, "_intervention_handlers", True) is None
        and not _is_traced(runtime)
        and replaces(SingleThreadedAgentRuntime)
    )


def _is_traced(runtime: object) -> bool:
    tracer = getattr(getattr(runtime, "_tracer_helper", None), "tracer", None)
    return type(getattr(tracer, "_tracer", tracer)).__name__ != "NoOpTracer"  # a proxy has the real one inside


def background_tasks(team: object) -> Iterator[Sequence[asyncio.Task[object]]]:
    """What the runtimes of the team and the teams inside it are working on right now: the innermost runtimes first."""
    for inner in _directly_in(team):
        yield from background_tasks(inner)
    runtime = getattr(team, "_runtime", None)
    if tasks := tuple(getattr(runtime, "_background_tasks", ())):
        yield tasks


@dataclass(frozen=True, slots=True)
class Parts:
    """What an agent or a team is made of, as far as it shows. `participants` is None of what is no group chat; `inner`
    is what an agent speaks through; `tools` are AutoGen's own objects, `workbenches` those that hold tools which only
    show once they are opened; `handoffs` are names."""

    participants: Sequence[object] | None
    inner: Sequence[object]
    client: object | None
    tools: Sequence[object]
    workbenches: Sequence[object]
    handoffs: Sequence[str]
    termination: object | None
    max_turns: int | None
    graph: object | None
    selects: object | None
    """A function that chooses the next speaker."""


def parts_of(thing: object) -> Parts:
    """Of anything: what is not there is empty."""
    participants, workbenches = getattr(thing, "_participants", None), getattr(thing, "_workbench", None)
    held = [bench for bench in workbenches if bench] if isinstance(workbenches, Sequence) else []
    tools = [tool for bench in held for tool in getattr(bench, "_tools", ())]
    handoffs = getattr(thing, "_handoffs", None)
    targets = [str(each.target) for each in handoffs.values()] if isinstance(handoffs, dict) else []
    return Parts(
        participants=participants if isinstance(participants, Sequence) else None,
        inner=tuple(_inside_agent(thing)),
        client=getattr(thing, "_model_client", None),
        tools=tools,
        workbenches=[bench for bench in held if not hasattr(bench, "_tools")],
        handoffs=targets,
        termination=getattr(thing, "_termination_condition", None),
        max_turns=getattr(thing, "_max_turns", None),
        graph=getattr(thing, "_graph", None),
        selects=getattr(thing, "_selector_func", None),
    )


def run_by_tool(tool: object) -> object | None:
    """The agent or team that is used as this tool; None of any other tool."""
    return getattr(tool, "_task_runner", None)
