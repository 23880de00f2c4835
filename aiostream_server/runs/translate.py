"""AutoGen's messages and events -> the recorder. Every class that AutoGen 0.7.5 has is named here.

The class decides what an event is. What was streamed before is dropped by the recorder, not here.
"""

from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    CodeExecutionEvent,
    CodeGenerationEvent,
    HandoffMessage,
    MemoryQueryEvent,
    ModelClientStreamingChunkEvent,
    MultiModalMessage,
    SelectorEvent,
    SelectSpeakerEvent,
    StopMessage,
    StructuredMessage,
    TextMessage,
    ThoughtEvent,
    ToolCallExecutionEvent,
    ToolCallRequestEvent,
    ToolCallSummaryMessage,
    UserInputRequestedEvent,
)
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult
from pydantic import BaseModel

from aiostream_server.models.provider import TextDelta, ThoughtDelta
from aiostream_server.models.think import ThinkSplitter
from aiostream_server.runs.recorder import Recorder
from aiostream_server.teams.data.messages import QueryDraft, QueryOutcome, Verdict


class Translator:
    """One run's."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._splitters: dict[str, ThinkSplitter] = {}
        self._code_calls: dict[str, str] = {}

    def translate(self, message: BaseAgentEvent | BaseChatMessage) -> None:
        """Record what the message tells."""
        if isinstance(message, ModelClientStreamingChunkEvent):
            self._chunk(message)
            return
        self._end_chunks(message.source)
        if message.models_usage is not None:
            self._recorder.reported(message.source, message.models_usage)
        if isinstance(message, BaseChatMessage):
            self._chat_message(message)
        else:
            self._event(message)

    def _chat_message(self, message: BaseChatMessage) -> None:
        recorder, source = self._recorder, message.source
        match message:
            case Verdict():
                recorder.verdict(source, message.content, approved=message.approved, call_id=message.call_id)
            case QueryDraft() | QueryOutcome():
                pass  # a tool call or its result, which stand in the log already
            case ToolCallSummaryMessage():
                recorder.tool_summary(source, message.content)
            case StructuredMessage(content=BaseModel() as content, format_string=None):
                recorder.whole(source, f"```json\n{content.model_dump_json(indent=2)}\n```")
            case TextMessage() | HandoffMessage() | StopMessage() | MultiModalMessage() | StructuredMessage():
                self._text(source, message.to_text())
            case _:
                self._text(source, message.to_text())  # a class of somebody's own

    def _event(self, event: BaseAgentEvent) -> None:
        recorder, source = self._recorder, event.source
        match event:
            case ThoughtEvent():
                recorder.thought(source, event.content)
            case ToolCallRequestEvent():
                for call in event.content:
                    recorder.tool_called(source, call)
            case ToolCallExecutionEvent():
                self._tool_results(event)
            case CodeGenerationEvent():
                for number, block in enumerate(event.code_blocks):
                    call_id = self._code_calls[source] = f"{event.id}-{number}"
                    recorder.tool_called(source, FunctionCall(call_id, block.code, f"run {block.language}"))
            case CodeExecutionEvent():
                recorder.tool_answered(source, _code_result(event, self._code_calls.pop(source, event.id)))
            case UserInputRequestedEvent():
                pass  # told once the team has been put away: see `drive`
            case MemoryQueryEvent() | SelectSpeakerEvent() | SelectorEvent():
                pass  # how a team works inside, not something that an agent says
            case _:
                recorder.thought(source, event.to_text())

    def _tool_results(self, event: ToolCallExecutionEvent) -> None:
        summary = event.metadata.get("summary", "")
        truncated = bool(event.metadata.get("truncated"))
        for result in event.content:
            self._recorder.tool_answered(event.source, result, summary=summary, truncated=truncated)

    def _text(self, source: str, text: str) -> None:
        """Whole words of an agent's; reasoning that stands in them is told apart."""
        splitter = ThinkSplitter()
        parts = [*splitter.feed(TextDelta(text)), *splitter.flush()]
        self._recorder.thought(source, "".join(part.text for part in parts if isinstance(part, ThoughtDelta)))
        self._recorder.whole(source, "".join(part.text for part in parts if isinstance(part, TextDelta)))

    def _chunk(self, chunk: ModelClientStreamingChunkEvent) -> None:
        if not chunk.content:
            return
        splitter = self._splitters.setdefault(chunk.source, ThinkSplitter())
        for delta in splitter.feed(TextDelta(chunk.content)):
            self._recorder.chunk(chunk.source, delta)

    def _end_chunks(self, source: str) -> None:
        splitter = self._splitters.pop(source, None)
        for delta in splitter.flush() if splitter else ():
            self._recorder.chunk(source, delta)


def _code_result(event: CodeExecutionEvent, call_id: str) -> FunctionExecutionResult:
    failed = event.result.exit_code != 0
    return FunctionExecutionResult(content=event.result.output, name="code", call_id=call_id, is_error=failed)
