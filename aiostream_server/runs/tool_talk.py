"""Agents that speak inside a tool (`AgentTool`, `TeamTool`). AutoGen tells everything there twice.

What the tool is asked stands in the call's arguments and comes again as a message of the user's. What the agents say
comes as they say it, and again, put together, as the tool's result.
"""

import json
from contextlib import suppress
from typing import Final

from autogen_agentchat.messages import BaseChatMessage, TextMessage
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult

_GAP: Final = "\n\n"


class ToolTalk:
    """One run's."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], str | None] = {}  # (agent, call id) -> the task that was given with the call
        self._said: list[tuple[str, str]] = []  # (agent, words) while any call is open
        self._alone: dict[str, str] = {}  # a result -> the words of the one message that it repeats

    def called(self, agent: str, call: FunctionCall) -> None:
        self._open[agent, call.id] = _task_of(call.arguments)

    def is_task(self, message: BaseChatMessage) -> bool:
        """Whether this is what an open call asks for, said again."""
        return (
            isinstance(message, TextMessage)
            and message.source == "user"
            and any(message.content == task for task in self._open.values() if task is not None)
        )

    def said(self, message: BaseChatMessage) -> None:
        if self._open:
            with suppress(Exception):  # of a class of somebody's own; AutoGen cannot repeat it either
                self._said.append((message.source, message.to_model_text()))

    def answered(self, agent: str, result: FunctionExecutionResult) -> bool:
        """Whether the result is nothing but what was said meanwhile."""
        is_task = self._open.get((agent, result.call_id)) is not None
        return is_task and bool(result.content) and self._is_repeated(agent, result.content)

    def ended(self, agent: str, results: list[FunctionExecutionResult]) -> None:
        for result in results:
            self._open.pop((agent, result.call_id), None)
        if not self._open:
            self._said.clear()

    def without_speaker(self, result: str) -> str:
        """Results that are given as an answer: where they are one agent's words, those alone."""
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
