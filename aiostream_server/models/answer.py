"""Assembles one model call's answer from its deltas, and estimates tokens where the provider reports no usage.

The result follows AutoGen's own OpenAI client: with tool calls, `content` is the calls and `thought` is all text;
without, `content` is the text and `thought` the reasoning.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    CreateResult,
    FunctionExecutionResult,
    LLMMessage,
    RequestUsage,
)
from autogen_core.tools import ToolSchema

from aiostream_server.errors import ModelFailed
from aiostream_server.models.ending import autogen_reason, marked
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta
from aiostream_server.models.think import Spoken, ThinkSplitter


@dataclass(slots=True)
class _Call:
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ModelAnswer:
    """Call `take` with every batch, then `rest`; the other members are valid after that."""

    __slots__ = ("_calls", "_splitter", "_texts", "_thoughts", "delta_count", "end")

    def __init__(self) -> None:
        self.delta_count = 0
        self._splitter = ThinkSplitter()
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, _Call] = {}
        self.end = End("unknown")  # as the provider reported it

    def take(self, batch: Sequence[Delta]) -> Sequence[Spoken]:
        """Add a batch; return its text and its reasoning, told apart."""
        if len(batch) == 1 and type(only := batch[0]) is TextDelta:
            self.delta_count += 1
            parts = self._splitter.feed(only)
            if len(parts) == 1 and parts[0] is only:  # the common case: nothing to split
                self._texts.append(only.text)
                return parts
            return self._keep(parts)
        spoken: list[Spoken] = []
        for delta in batch:
            if isinstance(delta, End):
                self.end = delta
                continue
            self.delta_count += 1
            if isinstance(delta, TextDelta):
                spoken.extend(self._splitter.feed(delta))
            elif isinstance(delta, CallDelta):
                self._add_to_call(delta)
            else:
                spoken.append(delta)
        return self._keep(spoken)

    def rest(self) -> Sequence[Spoken]:
        """The held-back text that could have begun a `<think>` tag and did not."""
        return self._keep(self._splitter.flush())

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def thought(self) -> str:
        return "".join(self._thoughts)

    def calls(self) -> list[FunctionCall]:
        """The tool calls, each with a unique id. Raises `ModelFailed` for a call without a name."""
        calls: dict[str, FunctionCall] = {}
        for _, call in sorted(self._calls.items()):
            if not call.name:
                raise ModelFailed("the model called a tool without saying which one")
            call_id = call.call_id if call.call_id and call.call_id not in calls else f"call_{uuid4().hex}"
            arguments = "".join(call.arguments)
            calls[call_id] = FunctionCall(call_id, arguments if arguments.strip() else "{}", call.name)
        return list(calls.values())

    def result(self, calls: list[FunctionCall], usage: RequestUsage, *, for_other_agents: bool = False) -> CreateResult:
        """AutoGen's result; `calls` come from `calls()`. `for_other_agents`: the text tells how it ended."""
        text, thought = self.text, self.thought
        if for_other_agents and not calls:
            text = marked(text, self.end.finish_reason)
        if calls:
            thought = "\n\n".join(filter(None, (thought, text)))
        reason = autogen_reason(self.end.finish_reason)
        if calls or reason == "function_calls":  # some providers report one without the other
            reason = "function_calls" if calls else "stop"
        return CreateResult(
            finish_reason=reason,
            content=calls or text,
            usage=usage,
            cached=False,
            logprobs=self.end.logprobs,
            thought=thought or None,
        )

    def _keep(self, spoken: Sequence[Spoken]) -> Sequence[Spoken]:
        for delta in spoken:
            (self._texts if isinstance(delta, TextDelta) else self._thoughts).append(delta.text)
        return spoken

    def _add_to_call(self, delta: CallDelta) -> None:
        call = self._calls.setdefault(delta.index, _Call())
        call.call_id = call.call_id or delta.call_id
        call.name += delta.name
        call.arguments.append(delta.arguments)


_CHARACTERS_PER_TOKEN: Final = 4
_CHARACTERS_PER_MESSAGE: Final = 16  # its role and separators
_CHARACTERS_PER_IMAGE: Final = 3060  # OpenAI's price of a 1024 x 1024 image: 765 tokens


def estimate_tokens(messages: Sequence[LLMMessage], tools: Sequence[ToolSchema] = ()) -> int:
    """Prompt tokens at four characters each; within a third of the truth for English text.

    Exact counts need each model's vocabulary, which tiktoken downloads at first use.
    """
    characters = sum(map(_size_of_message, messages)) + sum(len(json.dumps(tool)) for tool in tools)
    return characters // _CHARACTERS_PER_TOKEN


def _size_of_message(message: LLMMessage) -> int:
    thought = message.thought or "" if isinstance(message, AssistantMessage) else ""
    parts = [message.content] if isinstance(message.content, str) else message.content
    return _CHARACTERS_PER_MESSAGE + len(thought) + sum(map(_size, parts))


def _size(part: str | Image | FunctionCall | FunctionExecutionResult) -> int:
    match part:
        case str():
            return len(part)
        case Image():
            return _CHARACTERS_PER_IMAGE
        case FunctionCall():
            return len(part.name) + len(part.arguments)
        case FunctionExecutionResult():
            return len(part.content)
