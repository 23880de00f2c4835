"""Runs one team on one task and translates everything that it says.

A team may ask the user in two ways: it ends with a handoff to a name that is none of its agents, or one of its agents
is a `UserProxyAgent`, which asks in the middle of the run. Then the team's state is saved, and the team is ended. So it
is when an agent has called tools of the client.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, Final, cast

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, UserInputRequestedEvent
from autogen_core import CancellationToken

from aiostream_server.errors import TeamFailed
from aiostream_server.runs.conversation_memory import Handover, Stateful
from aiostream_server.runs.team_ending import TeamEnding
from aiostream_server.runs.translator import Translator
from aiostream_server.teams.autogen_private.client_tools import ClientTools
from aiostream_server.teams.autogen_private.structure import agent_names
from aiostream_server.teams.context import Runs, Team, streams
from aiostream_server.teams.resume import YES_OR_NO

# The stop reason of a group chat if its runtime went idle before its manager ended it.
_STOPPED_ABNORMALLY: Final = "The group chat is stopped."
_STREAMED: Final = "AutoGen's messages, then a TaskResult"


async def drive(
    team: Team,
    task: Sequence[BaseChatMessage],
    translator: Translator,
    token: CancellationToken,
    client_tools: ClientTools,
) -> TeamEnding:
    """Run the team until it is done, or waits for the user or for results of the client's tools. Raises what the team
    raises. Without a `task` it goes on where it stopped."""
    stop_reason: str | None = None
    echoes = list(task)
    last: BaseAgentEvent | BaseChatMessage | None = None
    items = _items(team, task, token)
    async for item in items:
        if isinstance(item, TaskResult):
            if item.stop_reason == _STOPPED_ABNORMALLY:
                raise TeamFailed("the team stopped before it was done")
            stop_reason = item.stop_reason
            continue
        if (echoed := next((message for message in echoes if _is_echo(item, message)), None)) is not None:
            echoes.remove(echoed)
            continue
        translator.translate(item)
        calls = client_tools.called_in(item)
        if calls or isinstance(item, UserInputRequestedEvent):
            handover = Handover(item.source, await team.save_state() if isinstance(team, Stateful) else None, calls)
            await _end(items, token)
            return TeamEnding(handover)
        last = item if isinstance(item, BaseChatMessage) else last
    if isinstance(last, HandoffMessage) and last.target not in agent_names(team):
        return TeamEnding(Handover(last.source, is_approval=last.metadata == YES_OR_NO), stop_reason)
    return TeamEnding(None, stop_reason)


async def _end(items: AsyncIterator[BaseAgentEvent | BaseChatMessage | TaskResult], token: CancellationToken) -> None:
    """End a team that waits for ever. AutoGen then raises `CancelledError`, as if this task were cancelled."""
    token.cancel()
    try:
        async for _ in items:
            pass
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise


def _is_echo(item: BaseAgentEvent | BaseChatMessage, task: BaseChatMessage) -> bool:
    """Teams repeat their task once: AutoGen's the message itself, a user's own team perhaps a copy of it."""
    return item.id == task.id or (item.source == task.source and item.to_text() == task.to_text())


async def _items(
    team: Team, task: Sequence[BaseChatMessage], token: CancellationToken
) -> AsyncIterator[BaseAgentEvent | BaseChatMessage | TaskResult]:
    """The team's messages as they come; of a team that can only `run()`, all of them at the end."""
    if not streams(team):
        runs = cast(Runs, team)
        answering: object = runs.run(**_arguments(runs.run, task, token))
        result = await answering if inspect.isawaitable(answering) else answering
        if not isinstance(result, TaskResult):
            raise _unexpected(team, "run returned", result, "a TaskResult (autogen_agentchat.base)")
        for message in (*result.messages, result):
            yield message
        return
    stream: object = team.run_stream(**_arguments(team.run_stream, task, token))
    if not isinstance(stream, AsyncIterable):
        if inspect.iscoroutine(stream):
            stream.close()
        raise _unexpected(team, "run_stream returned", stream, f"an async iterator of {_STREAMED}")
    items = aiter(stream)
    try:
        async for item in items:
            if not isinstance(item, BaseAgentEvent | BaseChatMessage | TaskResult):
                raise _unexpected(team, "run_stream yielded", item, _STREAMED)
            yield item
    finally:
        if isinstance(items, AsyncGenerator):
            await items.aclose()


def _unexpected(team: Team, what: str, got: object, expected: str) -> TeamFailed:
    kind = "None" if got is None else type(got).__name__
    return TeamFailed(f"{type(team).__name__}.{what} {kind}: expected {expected}")


def _arguments(
    method: Callable[..., object], task: Sequence[BaseChatMessage], token: CancellationToken
) -> Mapping[str, Any]:
    """A user's own team may take fewer arguments than AutoGen's do."""
    wanted = {"task": list(task) or None, "cancellation_token": token, "output_task_messages": False}
    function = getattr(method, "__func__", method)
    taken = _taken_by(function) if isinstance(function, FunctionType) else _parameters_of(function)
    return wanted if taken is None else {name: value for name, value in wanted.items() if name in taken}


def _parameters_of(function: Callable[..., object]) -> frozenset[str] | None:
    """The names of its parameters; None if it takes any."""
    parameters = inspect.signature(function).parameters
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return None if takes_any else frozenset(parameters)


_taken_by: Final = lru_cache(maxsize=64)(_parameters_of)  # reading a signature for each run took 3 % of its CPU
