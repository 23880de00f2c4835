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
from aiostream_server.models.call_repair import regular_arguments, regular_name
from aiostream_server.models.ending import autogen_reason, marked
from aiostream_server.models.json_in_text import json_text
from aiostream_server.models.provider import CallDelta, Delta, End, TextDelta, ThoughtDelta
from aiostream_server.models.think import LoneClosingTag, Split, Spoken, ThinkSplitter


@dataclass(slots=True)
class _PartialCall:
    call_id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class ModelAnswer:
    """Call `take` with every batch, then `rest`; the other members are valid after that."""

    __slots__ = (
        "_calls",
        "_splitter",
        "_texts",
        "_thoughts",
        "delta_count",
        "end",
        "unopened",
        "was_no_thought",
    )

    def __init__(self, closing_tag: str = "") -> None:
        """With a `closing_tag` the model's text begins in a thought (`ThinkSplitter`)."""
        self.delta_count = 0
        self.end = End("unknown")  # as the provider reported it
        self.unopened = ""  # the closing tag that came without an opening one
        self.was_no_thought = False  # the answer did not begin with the expected thought
        self._splitter = ThinkSplitter(closing_tag)
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self._calls: dict[int, _PartialCall] = {}

    def take(self, batch: Sequence[Delta]) -> Sequence[Spoken]:
        """Add a batch; return its text and its reasoning, told apart."""
        if len(batch) == 1 and type(only := batch[0]) is TextDelta:
            self.delta_count += 1
            parts = self._splitter.feed(only)
            if len(parts) == 1 and parts[0] is only:  # the common case: nothing to split
                self._texts.append(only.text)
                return batch  # type: ignore[return-value]  # it holds nothing but `only`
            return self._keep(parts)
        spoken: list[Split] = []
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
                if not self._splitter.is_apart:
                    self._splitter.begin_text()
                spoken.append(delta)
        return self._keep(spoken)

    def rest(self) -> Sequence[Spoken]:
        """The held-back text that could have begun a `<think>` tag and did not; call it at the end of the stream.

        An answer that was expected to begin with a thought, and is over without the end of one, is the answer.
        """
        spoken = self._keep(self._splitter.flush())
        is_over = not self._calls and self.end.finish_reason in ("stop", "unknown")
        self.was_no_thought = is_over and self._splitter.is_supposed and bool(self._thoughts) and not self._texts
        if not self.was_no_thought:
            return spoken
        self._texts, self._thoughts = self._thoughts, []
        return [*spoken, TextDelta(self.text)]

    @property
    def text(self) -> str:
        return "".join(self._texts)

    @property
    def thought(self) -> str:
        """Empty if it is only white space."""
        thought = "".join(self._thoughts)
        return "" if thought.isspace() else thought

    def calls(self, tools: Sequence[ToolSchema] = ()) -> list[FunctionCall]:
        """The tool calls, each with a unique id, made regular for the offered `tools`.

        Raises `ModelFailed` for a call without a name, where no tools were offered.
        """
        schemas = {tool["name"]: tool for tool in tools}
        calls: dict[str, FunctionCall] = {}
        for _, call in sorted(self._calls.items()):
            call_id = call.call_id if call.call_id and call.call_id not in calls else f"call_{uuid4().hex}"
            name = regular_name(call.name, tools)
            if not call.name and not tools:
                raise ModelFailed("the model called a tool without saying which one")
            calls[call_id] = FunctionCall(call_id, regular_arguments("".join(call.arguments), schemas.get(name)), name)
        return list(calls.values())

    def result(
        self, calls: list[FunctionCall], usage: RequestUsage, *, for_other_agents: bool = False, is_json: bool = False
    ) -> CreateResult:
        """AutoGen's result; `calls` come from `calls()`.

        `for_other_agents`: the text tells how it ended. `is_json`: the text is the JSON that stands in it.
        """
        text, thought = self.text, self.thought
        if is_json:
            text = json_text(text) or text
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

    def _keep(self, parts: Sequence[Split]) -> Sequence[Spoken]:
        spoken: list[Spoken] = []
        for part in parts:
            if isinstance(part, TextDelta):
                self._texts.append(part.text)
            elif isinstance(part, ThoughtDelta):
                self._thoughts.append(part.text)
            else:
                spoken += self._text_was_thought(part)
                continue
            spoken.append(part)
        return spoken

    def _text_was_thought(self, closed: LoneClosingTag) -> Sequence[Spoken]:
        """Take back the text, which has been shown: what follows begins a paragraph."""
        self.unopened = closed.tag
        self._thoughts += self._texts
        self._texts = []
        return [TextDelta("\n\n")] if self.thought else []

    def _add_to_call(self, delta: CallDelta) -> None:
        call = self._calls.setdefault(delta.index, _PartialCall())
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
