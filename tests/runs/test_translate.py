"""Every class of AutoGen 0.7.5 has its case."""

import inspect
from typing import Any

import pytest
from autogen_agentchat import messages as autogen
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    BaseMessage,
    BaseTextChatMessage,
    StructuredMessage,
)
from autogen_core import FunctionCall, Image
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.memory import MemoryContent
from autogen_core.models import FunctionExecutionResult, UserMessage
from PIL import Image as Pillow
from pydantic import BaseModel

from aiostream_server.events import Action, Event, Final, Message, Thinking, Token, ToolResult, Validation
from aiostream_server.teams.data.messages import QueryDraft, QueryOutcome, Verdict
from tests.runs.listening import listening

CALL = FunctionCall("c1", "{}", "tool")
RESULT = FunctionExecutionResult(content="four", name="tool", call_id="c1", is_error=True)


class Weather(BaseModel):
    city: str


class Own(BaseTextChatMessage):
    """Somebody's own message."""


class OwnEvent(BaseAgentEvent):
    """Somebody's own event."""

    content: str

    def to_text(self) -> str:
        return self.content


_PICTURE = Image(Pillow.new("RGB", (1, 1)))
_FIELDS: dict[str, tuple[dict[str, Any], list[Event]]] = {
    "TextMessage": ({"content": "hi"}, [Message("A", "hi")]),
    "MultiModalMessage": ({"content": ["look", _PICTURE]}, [Message("A", "look\n<image>")]),
    "StopMessage": ({"content": "done"}, [Message("A", "done")]),
    "HandoffMessage": ({"content": "over", "target": "B"}, [Message("A", "over")]),
    "ToolCallSummaryMessage": ({"content": "four", "tool_calls": [CALL], "results": [RESULT]}, []),
    "ToolCallRequestEvent": ({"content": [CALL]}, [Action("A", "tool", "{}", "c1")]),
    "ToolCallExecutionEvent": (
        {"content": [RESULT], "metadata": {"summary": "4 rows", "truncated": "true"}},
        [ToolResult("A", "tool", "four", "c1", is_error=True, truncated=True, summary="4 rows")],
    ),
    "CodeGenerationEvent": (
        {"id": "g", "retry_attempt": 0, "content": "x", "code_blocks": [CodeBlock(code="1+1", language="python")]},
        [Action("A", "run python", "1+1", "g-0")],
    ),
    "CodeExecutionEvent": (
        {"id": "e", "retry_attempt": 0, "result": CodeResult(exit_code=1, output="boom")},
        [ToolResult("A", "code", "boom", "e", is_error=True)],
    ),
    "UserInputRequestedEvent": ({"request_id": "r"}, []),
    "MemoryQueryEvent": ({"content": [MemoryContent(content="x", mime_type="text/plain")]}, []),
    "ModelClientStreamingChunkEvent": ({"content": "hi"}, [Token("A", "hi", "message")]),
    "ThoughtEvent": ({"content": "hm"}, [Thinking("A", "hm")]),
    "SelectSpeakerEvent": ({"content": ["B"]}, []),
    "SelectorEvent": ({"content": "B"}, []),
}


def _concrete() -> list[type[BaseMessage]]:
    """The module's classes that can be made, but for the generic one, which has a test of its own."""
    classes = [each for _, each in inspect.getmembers(autogen, inspect.isclass) if issubclass(each, BaseMessage)]
    return [each for each in classes if not each.__name__.startswith("Base") and each is not StructuredMessage]


@pytest.mark.parametrize("kind", _concrete(), ids=lambda kind: kind.__name__)
def test_every_class(kind: type[BaseMessage]) -> None:
    fields, told = _FIELDS[kind.__name__]
    run = listening("A", "B")
    message = kind(source="A", **fields)
    assert isinstance(message, BaseAgentEvent | BaseChatMessage)
    run.translator.translate(message)
    assert run.told == told


def test_structured_words() -> None:
    run = listening("A", "B")
    run.translator.translate(StructuredMessage[Weather](content=Weather(city="X"), source="A"))
    assert run.told == [Message("A", '```json\n{\n  "city": "X"\n}\n```')]
    assert run.recorder.last == Final("A", '```json\n{\n  "city": "X"\n}\n```'), "shown as the answer only once"
    run.translator.translate(
        StructuredMessage[Weather](content=Weather(city="X"), source="A", format_string="Rain in {city}")
    )
    assert run.told[1:] == [Message("A", "Rain in X")]


def test_somebodys_own_classes() -> None:
    run = listening("A", "B")
    run.translator.translate(Own(content="hi", source="A"))
    run.translator.translate(OwnEvent(content="working", source="A"))
    assert run.told == [Message("A", "hi"), Thinking("A", "working")]


def test_a_code_result_answers_the_last_block() -> None:
    run = listening("A", "B")
    blocks = [CodeBlock(code="a", language="python"), CodeBlock(code="b", language="sh")]
    run.translator.translate(autogen.CodeGenerationEvent(retry_attempt=0, content="", code_blocks=blocks, source="A"))
    result = CodeResult(exit_code=0, output="ok")
    run.translator.translate(autogen.CodeExecutionEvent(retry_attempt=0, result=result, source="A"))
    actions = [event for event in run.told if isinstance(event, Action)]
    answer = run.told[-1]
    assert isinstance(answer, ToolResult)
    assert [event.arguments for event in actions] == ["a", "b"]
    assert answer.call_id == actions[-1].call_id


def test_the_data_teams_messages() -> None:
    """A draft and an outcome stand in the log as a tool call and its result."""
    run = listening("A", "B")
    about = {"source": "A", "call_id": "c1", "attempt": 1}
    run.translator.translate(QueryDraft(content="SELECT 1", database="d", **about))
    run.translator.translate(QueryOutcome(content="rows", failed=False, **about))
    run.translator.translate(Verdict(content="blocked: no", database="d", approved=False, reason="no", **about))
    assert run.told == [Validation("A", "blocked: no", approved=False)]


def test_what_was_held_back_as_a_tag_is_said_in_the_end() -> None:
    run = listening("A", "B")
    run.translator.translate(autogen.ModelClientStreamingChunkEvent(content="1 <", source="A"))
    run.translator.translate(autogen.TextMessage(content="1 <", source="A"))
    assert run.told == [Token("A", "1 ", "message"), Token("A", "<", "message"), Message("A", "1 <", streamed=True)]


def test_rows_are_no_instructions() -> None:
    outcome = QueryOutcome(content="| n |", source="D", call_id="c", attempt=1, failed=False, summary="1 row")
    assert isinstance(outcome.to_model_message(), UserMessage)
