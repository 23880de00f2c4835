"""Every class of AutoGen 0.7.5 has its case."""

import ast
import inspect
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import autogen_agentchat
import autogen_core
import autogen_ext
import pytest
from autogen_agentchat import messages as autogen
from autogen_agentchat.agents import CodeExecutorAgent
from autogen_agentchat.messages import (
    BaseAgentEvent,
    BaseChatMessage,
    BaseMessage,
    BaseTextChatMessage,
    StructuredMessage,
    TextMessage,
)
from autogen_core import FunctionCall, Image
from autogen_core.code_executor import CodeBlock, CodeResult
from autogen_core.memory import MemoryContent
from autogen_core.models import FunctionExecutionResult, UserMessage
from PIL import Image as Pillow
from pydantic import BaseModel

from aiostream_server.events import Action, Answer, Event, Message, Thinking, Token, ToolResult, Validation
from aiostream_server.runs.closing_events import tell_answer
from aiostream_server.runs.team_ending import TeamEnding
from aiostream_server.teams.autogen_private.team_facts import ORCHESTRATOR
from aiostream_server.teams.data.messages import QueryDraft, QueryOutcome, Verdict
from tests.runs.listening import listening

CALL = FunctionCall("c1", "{}", "tool")
RESULT = FunctionExecutionResult(content="four", name="tool", call_id="c1", is_error=True)


_MAY_HAVE_MESSAGES = re.compile(r"class .*(?:Message|Event)\b")


class Weather(BaseModel):
    city: str


class Own(BaseTextChatMessage):
    """A user's own message."""


class OwnEvent(BaseAgentEvent):
    """A user's own event."""

    content: str

    def to_text(self) -> str:
        return self.content


_PICTURE = Image(Pillow.new("RGB", (1, 1)))
_FIELDS: dict[str, tuple[dict[str, Any], list[Event]]] = {
    "TextMessage": ({"content": "hi"}, [Message("A", "hi")]),
    "MultiModalMessage": (
        {"content": ["look", _PICTURE]},
        [Message("A", "look\n\n*[picture by A: 1 × 1, PNG, 1 KiB]*")],
    ),
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
        [Message("A", "x"), Action("A", "run python", "1+1", "g-0")],
    ),
    "CodeExecutionEvent": (
        {"id": "e", "retry_attempt": 0, "result": CodeResult(exit_code=1, output="boom")},
        [ToolResult("A", "code", "boom", "e", is_error=True, summary="code: exit code 1")],
    ),
    "UserInputRequestedEvent": ({"request_id": "r"}, []),
    "MemoryQueryEvent": (
        {"id": "m", "content": [MemoryContent(content="x", mime_type="text/plain")]},
        [ToolResult("A", "memory", "x", "m")],
    ),
    "ModelClientStreamingChunkEvent": ({"content": "hi"}, [Token("A", "hi", "message")]),
    "ThoughtEvent": ({"content": "hm"}, [Thinking("A", "hm")]),
    "SelectSpeakerEvent": ({"content": ["B"]}, []),
    "SelectorEvent": ({"content": "B"}, []),
}


_WITH_TESTS_OF_THEIR_OWN = {"StructuredMessage", "ImageMessage"}


def _concrete() -> list[type[BaseMessage]]:
    """The module's classes that can be made, but for the generic one."""
    classes = [each for _, each in inspect.getmembers(autogen, inspect.isclass) if issubclass(each, BaseMessage)]
    return [each for each in classes if not each.__name__.startswith("Base") and each is not StructuredMessage]


def test_no_class_of_autogens_is_unknown() -> None:
    """Wherever in AutoGen's packages it stands. Read as text: many modules there cannot be imported without extras."""
    found: dict[str, set[str]] = {}
    for package in (autogen_agentchat, autogen_core, autogen_ext):
        for file in Path(package.__path__[0]).rglob("*.py"):
            if _MAY_HAVE_MESSAGES.search(source := file.read_text("utf-8")):
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.ClassDef):
                        bases = {ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases}
                        found.setdefault(node.name, set()).update(bases)
    messages = {"BaseMessage"}
    while more := {name for name, bases in found.items() if bases & messages} - messages:
        messages |= more
    known = _FIELDS.keys() | _WITH_TESTS_OF_THEIR_OWN
    assert {name for name in messages if not name.startswith("Base")} == known


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
    assert run.recorder.last == Answer("A", '```json\n{\n  "city": "X"\n}\n```'), "shown as the answer only once"
    run.translator.translate(
        StructuredMessage[Weather](content=Weather(city="X"), source="A", format_string="Rain in {city}")
    )
    assert run.told[1:] == [Message("A", "Rain in X")]


def test_users_own_classes() -> None:
    run = listening("A", "B")
    run.translator.translate(Own(content="hi", source="A"))
    run.translator.translate(OwnEvent(content="working", source="A"))
    assert run.told == [Message("A", "hi"), Thinking("A", "working")]


def _translated(*messages: BaseAgentEvent | BaseChatMessage, code_runners: Sequence[str] = ()) -> list[Event]:
    run = listening("A", "B", code_runners=code_runners)
    for message in messages:
        run.translator.translate(message)
    return list(run.told)


def _call(agent: str, tool: str, **arguments: str) -> autogen.ToolCallRequestEvent:
    return autogen.ToolCallRequestEvent(content=[FunctionCall("c1", json.dumps(arguments), tool)], source=agent)


def _result(agent: str, tool: str, content: str) -> autogen.ToolCallExecutionEvent:
    result = FunctionExecutionResult(content=content, name=tool, call_id="c1", is_error=False)
    return autogen.ToolCallExecutionEvent(content=[result], source=agent)


def test_agents_in_a_tool_are_heard_once() -> None:
    """AutoGen tells the task again as the user's words, and their words again as the tool's result."""
    told = _translated(
        _call("A", "B", task="add"),
        TextMessage(content="add", source="user"),
        TextMessage(content="four", source="B"),
        TextMessage(content="it is four", source="B"),
        _result("A", "B", "B: four\n\nB: it is four"),
    )
    assert told[0] == Action("A", "B", '{"task": "add"}', "c1")
    assert told[1:] == [
        Message("B", "four"),
        Message("B", "it is four"),
        ToolResult("A", "B", "", "c1", summary="B answered"),
    ]


def test_a_result_that_says_more_than_the_agents_in_the_tool_is_told() -> None:
    told = _translated(
        _call("A", "B", task="add"), TextMessage(content="four", source="B"), _result("A", "B", "B: four\n\nNot sure.")
    )
    assert told[-1] == ToolResult("A", "B", "B: four\n\nNot sure.", "c1")


def test_a_tool_that_repeats_an_agents_words_is_no_agent() -> None:
    told = _translated(
        _call("A", "look", word="four"), TextMessage(content="four", source="B"), _result("A", "look", "four")
    )
    assert told[-1] == ToolResult("A", "look", "four", "c1")


def test_a_tools_picture_is_shown_beside_its_result_and_in_the_answer() -> None:
    run = listening("A", "B")
    raw = f"a square\n[Image: {_PICTURE.to_base64()}]"
    call = autogen.ToolCallSummaryMessage(content=raw, source="A", tool_calls=[], results=[])
    messages: Sequence[BaseAgentEvent | BaseChatMessage] = (_call("A", "draw"), _result("A", "draw", raw), call)
    for message in messages:
        run.translator.translate(message)
    note = "*[picture by draw: 1 × 1, PNG, 1 KiB]*"
    assert run.told[1:] == [ToolResult("A", "draw", "a square\n[picture: 1 × 1]", "c1"), Message("A", note)]
    assert run.recorder.last == Answer("A", f"a square\n{note}")


def test_a_call_that_is_no_json_is_a_call() -> None:
    call = FunctionCall("c1", '{"task": ', "B")
    asked = autogen.ToolCallRequestEvent(content=[call], source="A")
    told = _translated(asked, TextMessage(content="hi", source="user"), _result("A", "B", "Error: no JSON"))
    assert told == [
        Action("A", "B", '{"task": ', "c1"),
        Message("user", "hi"),
        ToolResult("A", "B", "Error: no JSON", "c1"),
    ]


def test_the_answer_of_a_tools_only_agent_is_its_words() -> None:
    run = listening("A", "B")
    summary = autogen.ToolCallSummaryMessage(content="B: four", source="A", tool_calls=[], results=[])
    messages: Sequence[BaseAgentEvent | BaseChatMessage] = (
        _call("A", "B", task="add"),
        TextMessage(content="four", source="B"),
        _result("A", "B", "B: four"),
        summary,
    )
    for message in messages:
        run.translator.translate(message)
    assert run.recorder.last == Answer("A", "four")


def _handed_over(text: str, *before: BaseAgentEvent) -> tuple[list[Event], Answer | None]:
    run = listening("A", "B")
    message = autogen.HandoffMessage(content=text, target="user", source="A")
    called, answered = _call("A", "transfer_to_user"), _result("A", "transfer_to_user", text)
    messages: Sequence[BaseAgentEvent | BaseChatMessage] = (*before, called, answered, message)
    for each in messages:
        run.translator.translate(each)
    return list(run.told), run.recorder.last


def test_a_handoff_asks_what_the_agent_said_before() -> None:
    asked = autogen.ThoughtEvent(content="Which order?", source="A")
    told, last = _handed_over("Transferred to user, adopting the role of user immediately.", asked)
    assert [type(event) for event in told] == [Thinking, Action, ToolResult], "the handoff's own words are not repeated"
    assert isinstance(told[-1], ToolResult)
    assert told[-1].summary == "over to user"
    assert last == Answer("A", "Which order?")


def test_a_handoff_without_words_asks_what_the_handoff_says() -> None:
    told, last = _handed_over("The user must choose.")
    assert [type(event) for event in told] == [Action, ToolResult]
    assert last == Answer("A", "The user must choose.")


def test_what_code_printed_is_shown_as_it_stands() -> None:
    printed = TextMessage(content="| a\n# b\n```\n", source="A")
    assert _translated(printed, code_runners=["A"]) == [Message("A", "````\n| a\n# b\n```\n````")]
    nothing = TextMessage(content=CodeExecutorAgent.NO_CODE_BLOCKS_FOUND_MESSAGE, source="A")
    assert _translated(nothing, code_runners=["A"]) == [Message("A", nothing.content)]


def test_code_that_was_said_is_no_call_and_its_repair_is_a_thought() -> None:
    said = "I add.\n```python\n1+1\n```"
    block = CodeBlock(code="1+1\n", language="python")
    told = _translated(
        autogen.CodeGenerationEvent(retry_attempt=0, content=said, code_blocks=[block], source="A"),
        autogen.CodeExecutionEvent(
            id="e", retry_attempt=0, result=CodeResult(exit_code=2, output="boom\n"), source="A"
        ),
        autogen.CodeGenerationEvent(retry_attempt=0, content="Print it.", code_blocks=[], source="A"),
    )
    assert told[0] == Message("A", said)
    assert isinstance(told[1], ToolResult)
    assert (told[1].tool, told[1].content, told[1].summary) == ("python", "boom", "python: exit code 2")
    assert told[2:] == [Thinking("A", "Print it.")]


def test_an_orchestrators_plan_is_a_thought_and_the_last_one_its_answer() -> None:
    run = listening("A", ORCHESTRATOR)
    for text in ("\n\nThe plan\n", "It is 42."):
        run.translator.translate(TextMessage(content=text, source=ORCHESTRATOR))
    assert run.told == [Thinking(ORCHESTRATOR, "The plan"), Thinking(ORCHESTRATOR, "It is 42.")]
    assert run.recorder.last == Answer(ORCHESTRATOR, "It is 42.")


async def test_an_orchestrators_answer_that_was_heard_is_told_once() -> None:
    run = listening("A", ORCHESTRATOR, answer_from=[ORCHESTRATOR])
    await run.tapped(ORCHESTRATOR, "It ", "is 42.")
    run.translator.translate(TextMessage(content="It is 42.", source=ORCHESTRATOR))
    tell_answer(run.recorder, TeamEnding())
    assert [event for event in run.told if isinstance(event, Message | Thinking)] == [
        Message(ORCHESTRATOR, "It is 42.", streamed=True)
    ]
    assert run.told[-1] == Answer(ORCHESTRATOR, "It is 42.", streamed=True)


def test_a_selectors_chunks_are_ignored() -> None:
    assert _translated(autogen.ModelClientStreamingChunkEvent(content="B", source="SelectorGroupChatManager")) == []


def test_a_code_result_answers_the_last_block() -> None:
    run = listening("A", "B")
    blocks = [CodeBlock(code="1+1", language="python"), CodeBlock(code="2+2", language="sh")]
    run.translator.translate(autogen.CodeGenerationEvent(retry_attempt=0, content="", code_blocks=blocks, source="A"))
    result = CodeResult(exit_code=0, output="ok")
    run.translator.translate(autogen.CodeExecutionEvent(retry_attempt=0, result=result, source="A"))
    actions = [event for event in run.told if isinstance(event, Action)]
    answer = run.told[-1]
    assert isinstance(answer, ToolResult)
    assert [event.arguments for event in actions] == ["1+1", "2+2"]
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
