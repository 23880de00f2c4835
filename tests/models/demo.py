"""Requests for the demo model, and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ParametersSchema, ToolSchema

from aiostream_server.models.demo.provider import DemoProvider
from aiostream_server.models.provider import CallDelta, Delta, End, ModelRequest, TextDelta


def tool(name: str, **properties: object) -> ToolSchema:
    parameters = ParametersSchema(type="object", properties=dict(properties), required=list(properties))
    return ToolSchema(name=name, parameters=parameters)


TEXT: Final = {"type": "string"}
CALCULATOR: Final = [tool("calculate", expression=TEXT)]
DATABASE: Final = [tool("schema"), tool("query", sql=TEXT)]


def user(text: str) -> UserMessage:
    return UserMessage(content=text, source="user")


def told(text: str, *, by: str = "Database") -> UserMessage:
    """What another agent said."""
    return UserMessage(content=text, source=by)


def called(name: str, arguments: str = "{}") -> AssistantMessage:
    return AssistantMessage(content=[FunctionCall("call_1", arguments, name)], source="Agent")


def returned(name: str, content: str, *, is_error: bool = False) -> FunctionExecutionResultMessage:
    result = FunctionExecutionResult(content=content, name=name, call_id="call_1", is_error=is_error)
    return FunctionExecutionResultMessage(content=[result])


@dataclass(frozen=True)
class DemoAnswer:
    """A whole stream, put together."""

    deltas: Sequence[Delta]

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas if isinstance(delta, TextDelta))

    @property
    def tool(self) -> str:
        return "".join(delta.name for delta in self.deltas if isinstance(delta, CallDelta))

    @property
    def arguments(self) -> str:
        return "".join(delta.arguments for delta in self.deltas if isinstance(delta, CallDelta))

    @property
    def end(self) -> End:
        end = self.deltas[-1]
        assert isinstance(end, End)
        return end


async def ask(request: ModelRequest, provider: DemoProvider | None = None) -> DemoAnswer:
    batches = [batch async for batch in (provider or DemoProvider()).stream(request)]
    return DemoAnswer([delta for batch in batches for delta in batch])


async def answer(*messages: LLMMessage, tools: Sequence[ToolSchema] = (), system: str = "") -> DemoAnswer:
    start: list[LLMMessage] = [SystemMessage(content=system)] if system else []
    return await ask(ModelRequest([*start, *messages], tools=tools))
