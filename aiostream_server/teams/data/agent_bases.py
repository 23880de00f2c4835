"""What the agents of the data team have in common: agents in code, and agents with a model and a memory."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from autogen_agentchat.agents import BaseChatAgent
from autogen_agentchat.base import Response
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
)
from autogen_agentchat.state import AssistantAgentState
from autogen_core import CancellationToken, FunctionCall
from autogen_core.model_context import ChatCompletionContext, UnboundedChatCompletionContext
from autogen_core.models import (
    AssistantMessage,
    ChatCompletionClient,
    CreateResult,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    SystemMessage,
)
from autogen_core.tools import ToolSchema

Said: TypeAlias = BaseAgentEvent | BaseChatMessage | Response


class CodeAgent(BaseChatAgent):
    """An agent without a model, and without state between turns."""

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        """The last response of `on_messages_stream`, which these agents define."""
        async for said in self.on_messages_stream(messages, cancellation_token):
            if isinstance(said, Response):
                return said
        raise AssertionError("a turn always ends with a response")

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Has no state."""


class ModelAgent(CodeAgent):
    """An agent with a model. `model_context` holds the model's conversation."""

    def __init__(self, name: str, description: str, model_client: ChatCompletionClient) -> None:
        super().__init__(name, description=description)
        self.model_context: ChatCompletionContext = UnboundedChatCompletionContext()
        self._model_client = model_client

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        await self.model_context.clear()

    async def save_state(self) -> Mapping[str, Any]:
        return AssistantAgentState(llm_context=await self.model_context.save_state()).model_dump()

    async def load_state(self, state: Mapping[str, Any]) -> None:
        await self.model_context.load_state(AssistantAgentState.model_validate(state).llm_context)

    async def ask(
        self, prompt: str, tools: Sequence[ToolSchema], cancellation_token: CancellationToken
    ) -> CreateResult:
        """Call the model with the conversation, and add its answer to that."""
        messages = [SystemMessage(content=prompt), *await self.model_context.get_messages()]
        result = await self._model_client.create(messages, tools=tools, cancellation_token=cancellation_token)
        answer = AssistantMessage(content=result.content, thought=result.thought, source=self.name)
        await self.model_context.add_message(answer)
        return result

    def as_messages(self, result: CreateResult) -> Iterator[Said]:
        """The thought, and then the tool calls, or the text as the response of the turn."""
        if result.thought:
            yield ThoughtEvent(content=result.thought, source=self.name)
        if isinstance(result.content, str):
            yield self.text_response(result.content)
        else:
            yield ToolCallRequestEvent(content=result.content, source=self.name, models_usage=result.usage)

    def text_response(self, text: str) -> Response:
        return Response(chat_message=TextMessage(content=text, source=self.name))

    async def answer_calls(self, results: list[FunctionExecutionResult], summary: str) -> ToolCallExecutionEvent:
        """Add the results of tool calls to the conversation. Viewers see the `summary`, unless it is empty."""
        await self.model_context.add_message(FunctionExecutionResultMessage(content=results))
        about = {"summary": summary} if summary else {}
        return ToolCallExecutionEvent(content=results, source=self.name, metadata=about)


def result_of(call: FunctionCall, content: str, *, is_error: bool) -> FunctionExecutionResult:
    return FunctionExecutionResult(content=content, name=call.name, call_id=call.id, is_error=is_error)


def parse_arguments(call: FunctionCall) -> Mapping[str, Any]:
    """Raises `ValueError` with a text for the model."""
    try:
        arguments = json.loads(call.arguments or "{}")
    except (ValueError, RecursionError) as exc:
        raise ValueError(f"The arguments of {call.name} are not JSON: {exc}.") from exc
    if not isinstance(arguments, dict):
        raise ValueError(f"The arguments of {call.name} must be a JSON object.")
    return arguments
