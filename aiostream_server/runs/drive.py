"""Drives one team through one task, and tells the translator everything that it says."""

import inspect
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage
from autogen_core import CancellationToken

from aiostream_server.errors import TeamFailed
from aiostream_server.runs.translate import Translator
from aiostream_server.teams.context import Streams, Team

# What a group chat says when its runtime went idle before its manager ended it.
_STOPPED_ABNORMALLY: Final = "The group chat is stopped."


async def drive(team: Team, task: Sequence[BaseChatMessage], translator: Translator, token: CancellationToken) -> None:
    """Run the team to its end. Raises what the team raises."""
    echoes = list(task)
    async for item in _items(team, task, token):
        if isinstance(item, TaskResult):
            if item.stop_reason == _STOPPED_ABNORMALLY:
                raise TeamFailed("the team stopped before it was done")
            continue
        echoed = next((message for message in echoes if _is_echo(item, message)), None)
        if echoed is None:
            translator.translate(item)
        else:
            echoes.remove(echoed)


def _is_echo(item: BaseAgentEvent | BaseChatMessage, task: BaseChatMessage) -> bool:
    """Teams tell their task, once: AutoGen's the message itself, somebody's own perhaps one with the same words."""
    return item.id == task.id or (item.source == task.source and item.to_text() == task.to_text())


async def _items(
    team: Team, task: Sequence[BaseChatMessage], token: CancellationToken
) -> AsyncIterator[BaseAgentEvent | BaseChatMessage | TaskResult]:
    """What the team says, as it says it; of a team that can only `run()`, all of it at the end."""
    if isinstance(team, Streams):
        arguments = _arguments(team.run_stream, task, token)
        async with aclosing(team.run_stream(**arguments)) as stream:
            async for item in stream:
                yield item
        return
    result = await team.run(**_arguments(team.run, task, token))
    for message in result.messages:
        yield message
    yield result


def _arguments(method: Any, task: Sequence[BaseChatMessage], token: CancellationToken) -> Mapping[str, Any]:
    """Somebody's own team may take less than AutoGen's do."""
    wanted = {"task": list(task), "cancellation_token": token, "output_task_messages": False}
    parameters = inspect.signature(method).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
        return wanted
    return {name: value for name, value in wanted.items() if name in parameters}
