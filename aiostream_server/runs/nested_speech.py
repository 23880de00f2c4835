"""What agents say inside a tool, which AutoGen repeats."""

import json
from contextlib import suppress
from typing import Final

from autogen_agentchat import messages as autogen
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult

_GAP: Final = "\n\n"  # between the messages in a tool's result


class NestedSpeech:
    """Drops what AutoGen repeats of agents that speak inside a tool (`AgentTool`, `TeamTool`).

    The tool's task stands in the call's arguments and comes again as a message of the user. What the agents say comes
    as they say it, and again, joined, as the tool's result.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], str | None] = {}  # (agent, call id) -> the task in its arguments
        self._said: list[tuple[str, str]] = []  # (agent, text) while any call is open
        self._alone: dict[str, str] = {}  # a result -> the text of the one message that it repeats

    def called(self, agent: str, call: FunctionCall) -> None:
        self._open[agent, call.id] = _task_of(call.arguments)

    def is_task(self, message: autogen.BaseChatMessage) -> bool:
        """Whether the message repeats the task of an open call."""
        return (
            isinstance(message, autogen.TextMessage)
            and message.source == "user"
            and any(message.content == task for task in self._open.values() if task is not None)
        )

    def said(self, message: autogen.BaseChatMessage) -> None:
        if self._open:
            with suppress(Exception):  # a user's own class failed; AutoGen cannot repeat its text either
                self._said.append((message.source, message.to_model_text()))

    def answered(self, agent: str, result: FunctionExecutionResult) -> bool:
        """Whether the result only repeats what was said since the call."""
        is_task = self._open.get((agent, result.call_id)) is not None
        return is_task and bool(result.content) and self._is_repeated(agent, result.content)

    def ended(self, agent: str, results: list[FunctionExecutionResult]) -> None:
        for result in results:
            self._open.pop((agent, result.call_id), None)
        if not self._open:
            self._said.clear()

    def without_speaker(self, result: str) -> str:
        """The result without the speaker's name, if it repeats a single message."""
        return self._alone.get(result, result)

    def _is_repeated(self, agent: str, content: str) -> bool:
        others = [(source, words) for source, words in self._said if source != agent]
        rest, parts = content, []
        for source, words in others:
            if rest.startswith(part := f"{source}: {words}"):
                rest = rest[len(part) :].removeprefix(_GAP)
                parts.append(words)
        if not rest and parts:
            if len(parts) == 1:
                self._alone[content] = parts[0]
            return True
        return any(content == words for _, words in others)  # return_value_as_last_message


def _task_of(arguments: str) -> str | None:
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    task = given.get("task") if isinstance(given, dict) else None
    return task if isinstance(task, str) else None
