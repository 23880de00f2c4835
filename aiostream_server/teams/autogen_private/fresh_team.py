"""Prepares a team that has never run: the names of its speakers, its runtime, and how its user proxies wait."""

import asyncio
from collections.abc import Sequence
from typing import Final, NoReturn

from autogen_agentchat.messages import MessageFactory
from autogen_agentchat.teams import MagenticOneGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.models import LLMMessage

from aiostream_server.models.client import StreamingClient
from aiostream_server.teams.autogen_private.runtime import TeamRuntime, replaces
from aiostream_server.teams.autogen_private.runtime_agents import OutputQueue
from aiostream_server.teams.autogen_private.structure import all_agents, everything_in, is_a, model_client_of
from aiostream_server.teams.autogen_private.team_facts import ORCHESTRATOR, user_proxies

USE_TEAM_RUNTIME: Final = True
"""False runs every team on AutoGen's own runtime. The measured difference is in the docstring of `runtime`."""

_MESSAGE_TYPES: Final = vars(MessageFactory())["_message_types"]
_PLANNING: Final = f"{ORCHESTRATOR} (planning)"  # no agent has this name, so a run does not show its tokens


def name_speakers(team: object) -> None:
    """Give every agent a model client that knows the agent's name.

    AutoGen names no speaker for an agent that runs outside a group chat, and the wrong one for an agent that runs
    inside another: in a tool, or in a `MessageFilterAgent`.
    """
    things = everything_in(team)
    for group in things:
        stream_orchestrator_answer(group)
    for agent in all_agents(things):
        client, name = model_client_of(agent), getattr(agent, "name", None)
        if isinstance(client, StreamingClient) and isinstance(name, str):
            vars(agent)["_model_client"] = client.speaking_as(name)


def use_team_runtimes(team: object, *, enabled: bool = USE_TEAM_RUNTIME) -> None:
    """Give a team that has never run, and every team inside it, a `TeamRuntime`.

    A team keeps AutoGen's runtime if it was given one, has used the one it made, or is traced by OpenTelemetry (the
    spans of messages are AutoGen's). So does every team if AutoGen's runtime has methods that `TeamRuntime` lacks.
    """
    for group in everything_in(team) if enabled else ():
        if _runtime_may_change(group):
            vars(group)["_runtime"] = TeamRuntime()
            queue = vars(group).get("_output_message_queue")
            if type(queue) is asyncio.Queue and queue.empty() and not queue.maxsize:
                output: OutputQueue[object] = OutputQueue()
                vars(group)["_output_message_queue"] = output
            _share_message_types(getattr(group, "_message_factory", None))


def _share_message_types(factory: object) -> None:
    """Each team makes a table of all classes of messages, 0.5 KiB. Teams without classes of their own share one."""
    if type(factory) is MessageFactory and vars(factory).get("_message_types") == _MESSAGE_TYPES:
        vars(factory)["_message_types"] = _MESSAGE_TYPES


def _runtime_may_change(group: object) -> bool:
    """Whether AutoGen made the runtime for this team, and it is neither used nor prepared yet."""
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
    return type(getattr(tracer, "_tracer", tracer)).__name__ != "NoOpTracer"  # a proxy holds the real one


def wait_for_people(team: object) -> None:
    """Keep every `UserProxyAgent`, also in tools, from reading the server's standard input.

    The agent sends its `UserInputRequestedEvent` and then waits until the run's token is cancelled.
    """
    for agent in user_proxies(team):
        agent.input_func = _wait_until_cancelled
        agent._is_async = True  # computed once, from the function that is replaced here


async def _wait_until_cancelled(_: str, cancellation_token: CancellationToken | None) -> str:
    return await until_cancelled(cancellation_token)


async def until_cancelled(cancellation_token: CancellationToken | None) -> NoReturn:
    """Wait for ever. Raises CancelledError once the token is cancelled."""
    never: asyncio.Future[NoReturn] = asyncio.get_running_loop().create_future()
    if cancellation_token is not None:
        cancellation_token.link_future(never)
    await never
    raise AssertionError("unreachable")


def stream_orchestrator_answer(team: object) -> None:
    """Give a Magentic-One team an `OrchestratorClient`; change no other team."""
    client = getattr(team, "_model_client", None)
    if is_a(team, MagenticOneGroupChat) and isinstance(client, StreamingClient):
        vars(team)["_model_client"] = OrchestratorClient(client, team._final_answer_prompt)


class OrchestratorClient(StreamingClient):
    """The model client of Magentic-One's orchestrator: speaks only when it is asked for the final answer.

    The orchestrator uses one client for its ledgers, plans, instructions and answer. Plans and instructions reach the
    viewers as messages of AutoGen; ledgers are internal.
    """

    def __init__(self, client: StreamingClient, answer_prompt: str) -> None:
        vars(self).update(vars(client))  # the same model, label and total usage
        before, asks_with_task, after = answer_prompt.partition("{task}")
        self._begins, self._ends = (before, after) if asks_with_task else (answer_prompt, "")

    def speaker_of(self, messages: Sequence[LLMMessage]) -> str:
        return ORCHESTRATOR if self._asks_for_answer(messages) else _PLANNING

    def _asks_for_answer(self, messages: Sequence[LLMMessage]) -> bool:
        prompt = messages[-1].content if messages else None
        return isinstance(prompt, str) and prompt.startswith(self._begins) and prompt.endswith(self._ends)
