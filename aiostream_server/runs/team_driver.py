"""Runs one team on one task and translates everything that it says.

A team may ask the user in two ways: it ends with a handoff to a name that is none of its agents, or one of its agents
is a `UserProxyAgent`, which asks in the middle of the run. Then the team's state is saved, and the team is ended. So it
is when an agent has called tools of the client. Where agents work at the same time, in the branches of a graph, the
others finish their turns before that.
"""

import asyncio
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from functools import lru_cache
from types import FunctionType
from typing import Any, Final, TypeAlias, cast

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, UserInputRequestedEvent
from autogen_core import CancellationToken

from aiostream_server.errors import TeamFailed
from aiostream_server.runs.conversation_memory import Handover, Stateful
from aiostream_server.runs.team_ending import TeamEnding
from aiostream_server.runs.translator import Translator
from aiostream_server.teams.autogen_private.client_tools import ClientTools
from aiostream_server.teams.autogen_private.running_team import active_speakers
from aiostream_server.teams.autogen_private.team_facts import agent_names
from aiostream_server.teams.context import Runs, Team, streams
from aiostream_server.teams.resume import YES_OR_NO

# The stop reason of a group chat if its runtime went idle before its manager ended it.
_STOPPED_ABNORMALLY: Final = "The group chat is stopped."
_STREAMED: Final = "AutoGen's messages, then a TaskResult"
_LOOK_AGAIN_S: Final = 0.02  # a group chat does not tell when a turn is over
_Item: TypeAlias = BaseAgentEvent | BaseChatMessage | TaskResult


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
    stopped = _StoppedTurns(team, _items(team, task, token))
    async for item in stopped.items():
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
            stopped.calls[item.source] = calls
        last = item if isinstance(item, BaseChatMessage) else last
    if stopped.calls:
        state = await team.save_state() if isinstance(team, Stateful) else None
        await stopped.end(token)
        return TeamEnding(stopped.handover(state))
    if isinstance(last, HandoffMessage) and last.target not in agent_names(team):
        return TeamEnding(Handover(last.source, is_approval=last.metadata == YES_OR_NO), stop_reason)
    return TeamEnding(None, stop_reason)


class _StoppedTurns:
    """The agents that wait in their turns for ever: `calls` has the ids of their calls of the client's tools, or
    nothing where they ask the user."""

    def __init__(self, team: Team, items: AsyncIterator[_Item]) -> None:
        self.calls: Final[dict[str, tuple[str, ...]]] = {}
        self._team = team
        self._items = items
        self._next: asyncio.Future[_Item | None] | None = None

    async def items(self) -> AsyncIterator[_Item]:
        """The team's, until it is done, or nothing but the stopped turns is left."""
        while not self.calls and (item := await anext(self._items, None)) is not None:
            yield item
        while self.calls and self._others_work():
            if self._next is None:
                self._next = asyncio.ensure_future(anext(self._items, None))
            await self._look()
            if self._next.done():
                if (item := self._next.result()) is None:
                    return
                self._next = None
                yield item

    def handover(self, state: Mapping[str, Any] | None) -> Handover:
        """Calls of the client's tools come first: an agent that asks the user asks again when the team goes on."""
        call_ids = tuple(call_id for calls in self.calls.values() for call_id in calls)
        asker = next((agent for agent, calls in self.calls.items() if calls), next(iter(self.calls)))
        return Handover(asker, state, call_ids, tuple(self.calls))

    async def end(self, token: CancellationToken) -> None:
        """AutoGen then raises `CancelledError`, as if this task were cancelled."""
        token.cancel()
        try:
            if self._next is not None:
                await self._next
            async for _ in self._items:
                pass
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise

    def _others_work(self) -> bool:
        """An agent inside another one has no turn of its own: no other agent works then."""
        active = active_speakers(self._team)
        return self.calls.keys() < active

    async def _look(self) -> None:
        """Wait a moment for the next item."""
        step = cast("asyncio.Future[_Item | None]", self._next)
        try:
            await asyncio.wait({step}, timeout=_LOOK_AGAIN_S)
        except asyncio.CancelledError:
            step.cancel()
            await asyncio.wait({step})
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
