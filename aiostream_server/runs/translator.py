"""Translates AutoGen's messages and events into calls of the recorder. Every class of AutoGen 0.7.5 has its case.

The class decides what an event is. The recorder drops what was streamed before; the translator drops what AutoGen
itself says twice (`NestedSpeech`, and `_handed_off`).
"""

import re
from collections.abc import Collection, Sequence
from typing import Final

from autogen_agentchat import messages as autogen
from autogen_agentchat.agents import CodeExecutorAgent
from autogen_core import FunctionCall
from autogen_core.models import FunctionExecutionResult

from aiostream_server.events import Answer, Message
from aiostream_server.models.ending import without_remark
from aiostream_server.models.provider import TextDelta
from aiostream_server.models.think import LoneClosingTag, ThinkSplitter, split_whole
from aiostream_server.runs.message_markdown import ToolPictures, code_block, markdown_of, text_of
from aiostream_server.runs.nested_speech import NestedSpeech
from aiostream_server.runs.recorder import Recorder
from aiostream_server.teams.autogen_private.team_facts import ORCHESTRATOR
from aiostream_server.teams.data.messages import QueryDraft, QueryOutcome, Verdict

_TRANSFERRED: Final = re.compile(r"Transferred to (.{1,200}), adopting the role of \1 immediately\.")
_NO_CODE: Final = CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE


class Translator:
    """One run's. The messages of `code_runners` are the output of code."""

    def __init__(self, recorder: Recorder, code_runners: Collection[str] = ()) -> None:
        self._recorder = recorder
        self._code_runners = code_runners
        self._splitters: dict[str, ThinkSplitter] = {}
        self._code: dict[str, tuple[str, str]] = {}  # agent -> call id and languages of the code that it runs
        self._nested = NestedSpeech()
        self._tool_pictures = ToolPictures()
        self._beside: dict[str, str] = {}  # agent -> its words beside its last calls
        self._results: dict[str, Sequence[str]] = {}  # agent -> the results of its last calls

    def translate(self, message: autogen.BaseAgentEvent | autogen.BaseChatMessage) -> None:
        """Record one message."""
        if isinstance(message, autogen.ModelClientStreamingChunkEvent):
            self._chunk(message)
            return
        self._end_chunks(message.source)
        if message.models_usage is not None:
            self._recorder.reported(message.source, message.models_usage)
        if not isinstance(message, autogen.BaseChatMessage):
            self._event(message)
        elif not self._nested.is_task(message):
            self._nested.said(message)
            self._chat_message(message)
            self._beside.pop(message.source, None)

    def _chat_message(self, message: autogen.BaseChatMessage) -> None:
        recorder, source = self._recorder, message.source
        match message:
            case Verdict():
                recorder.verdict(source, message.content, approved=message.approved, call_id=message.call_id)
            case QueryDraft() | QueryOutcome():
                pass  # a tool call or its result: the log holds them already
            case autogen.ToolCallSummaryMessage():
                recorder.tool_summary(source, self._tool_pictures.put_in(self._nested.without_speaker(message.content)))
            case autogen.HandoffMessage() if message.content in self._results.get(source, ()):
                self._handed_off(message)
            case autogen.TextMessage() if source in self._code_runners and message.content != _NO_CODE:
                recorder.whole(source, code_block(message.content))
            case autogen.TextMessage() if source == ORCHESTRATOR:
                self._orchestrated(source, without_remark(message.content).strip())
            case autogen.TextMessage() | autogen.HandoffMessage() | autogen.StopMessage():
                self._text(source, message.content)
            case autogen.MultiModalMessage() | autogen.StructuredMessage():
                recorder.whole(source, markdown_of(message))
            case _:
                self._text(source, markdown_of(message))  # a user's own class

    def _event(self, event: autogen.BaseAgentEvent) -> None:
        recorder, source = self._recorder, event.source
        match event:
            case autogen.ThoughtEvent():
                recorder.thought(source, event.content)
                self._beside[source] = event.content
            case autogen.ToolCallRequestEvent():
                self._tool_calls(event)
            case autogen.ToolCallExecutionEvent():
                self._tool_results(event)
            case autogen.CodeGenerationEvent():
                self._code_written(event)
            case autogen.CodeExecutionEvent():
                self._code_ran(event)
            case autogen.MemoryQueryEvent():
                self._remembered(event)
            case autogen.UserInputRequestedEvent():
                pass  # recorded once the team's state is saved: see `team_driver`
            case autogen.SelectSpeakerEvent() | autogen.SelectorEvent():
                pass  # internal to a group chat: no agent says it
            case _:
                recorder.thought(source, text_of(event))

    def _orchestrated(self, source: str, text: str) -> None:
        """A plan or an instruction, or the answer, if our own model client has just streamed these words."""
        last = self._recorder.last
        if last is not None and (last.agent, last.content.strip()) == (source, text):
            self._recorder.whole(source, text)
        else:
            self._recorder.thought(source, text)
            self._recorder.last = Answer(source, text, streamed=False)

    def _tool_calls(self, event: autogen.ToolCallRequestEvent) -> None:
        for call in event.content:
            self._recorder.tool_called(event.source, call)
            self._nested.called(event.source, call)

    def _tool_results(self, event: autogen.ToolCallExecutionEvent) -> None:
        recorder, source = self._recorder, event.source
        summary = event.metadata.get("summary", "")
        truncated = bool(event.metadata.get("truncated"))
        pictures: list[str] = []
        for result in event.content:
            if self._nested.answered(source, result):
                repeated = result.model_copy(update={"content": ""})
                recorder.tool_answered(source, repeated, summary=f"{result.name} answered")
                continue
            content, found = self._tool_pictures.taken_out(result.content, result.name)
            pictures += found
            shown = result.model_copy(update={"content": content}) if found else result
            handed_to = _TRANSFERRED.fullmatch(content)
            said = f"over to {handed_to[1]}" if handed_to else summary
            recorder.tool_answered(source, shown, summary=said, truncated=truncated)
        self._nested.ended(source, event.content)
        self._results[source] = [result.content for result in event.content]
        if pictures:
            recorder.tell(Message(source, "\n\n".join(pictures)))

    def _handed_off(self, message: autogen.HandoffMessage) -> None:
        """The message repeats the result of the agent's last call. AutoGen's standard text has no content: the agent's
        last words are those beside the call."""
        is_standard = _TRANSFERRED.fullmatch(message.content) is not None
        beside = self._recorder.beside.get(message.source)
        beside = self._beside.get(message.source, "") if beside is None else beside
        beside = beside if is_standard else ""
        self._recorder.tool_summary(message.source, beside or message.content)

    def _code_written(self, event: autogen.CodeGenerationEvent) -> None:
        """Most agents repeat the code in their text; other code is recorded as a call. An event without code is a plan
        to repair it."""
        if not event.code_blocks:
            self._recorder.thought(event.source, event.content)
            return
        self._text(event.source, event.content)
        call_id, languages = event.id, dict.fromkeys(block.language or "code" for block in event.code_blocks)
        for number, block in enumerate(event.code_blocks):
            if block.code.strip() not in event.content:
                call_id = f"{event.id}-{number}"
                self._recorder.tool_called(event.source, FunctionCall(call_id, block.code, f"run {block.language}"))
        self._code[event.source] = call_id, ", ".join(languages)

    def _code_ran(self, event: autogen.CodeExecutionEvent) -> None:
        call_id, languages = self._code.pop(event.source, (event.id, "code"))
        code, output = event.result.exit_code, event.result.output
        result = FunctionExecutionResult(content=output.rstrip(), name=languages, call_id=call_id, is_error=code != 0)
        self._recorder.tool_answered(event.source, result, summary=f"{languages}: exit code {code}")

    def _remembered(self, event: autogen.MemoryQueryEvent) -> None:
        remembered = "\n\n".join(str(memory.content) for memory in event.content)
        result = FunctionExecutionResult(content=remembered, name="memory", call_id=event.id, is_error=False)
        self._recorder.tool_answered(event.source, result)

    def _text(self, source: str, text: str) -> None:
        """A whole message; reasoning in it is recorded separately."""
        thought, text = split_whole(text.strip("\r\n"))
        self._recorder.thought(source, thought)
        self._recorder.whole(source, text)

    def _chunk(self, chunk: autogen.ModelClientStreamingChunkEvent) -> None:
        if not chunk.content or not self._recorder.hears(chunk.source):
            return  # a selector is no participant
        splitter = self._splitters.setdefault(chunk.source, ThinkSplitter())
        for delta in splitter.feed(TextDelta(chunk.content)):
            if not isinstance(delta, LoneClosingTag):
                self._recorder.say(chunk.source, (delta,))

    def _end_chunks(self, source: str) -> None:
        splitter = self._splitters.pop(source, None)
        for delta in splitter.flush() if splitter else ():
            self._recorder.say(source, (delta,))
