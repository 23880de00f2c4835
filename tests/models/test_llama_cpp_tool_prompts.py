"""What a model without a chat template for tools is shown, and held to."""

import json
from typing import Any

from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool, ParametersSchema, ToolSchema
from pydantic import BaseModel

from aiostream_server.models.llama_cpp.tool_prompts import (
    as_replies,
    in_turn,
    instructions,
    reply_format,
    without_calls,
)
from aiostream_server.models.provider import ModelRequest
from aiostream_server.tools.calculator import calculate

CALCULATE = FunctionTool(calculate, name="calculate", description="Evaluate exactly.").schema
PING = ToolSchema(name="ping")
CONVERSATION: list[LLMMessage] = [
    SystemMessage(content="Be brief."),
    UserMessage(content="What is 2 + 3?", source="user"),
    AssistantMessage(content=[FunctionCall("c1", '{"expression": "2+3"}', "calculate")], source="A", thought="Hm."),
    FunctionExecutionResultMessage(
        content=[FunctionExecutionResult(content="5", name="calculate", call_id="c1", is_error=False)]
    ),
]


def shown(messages: list[LLMMessage]) -> list[tuple[str, Any]]:
    return [(type(message).__name__.removesuffix("Message"), message.content) for message in messages]


def schema_of(request: ModelRequest) -> Any:
    return reply_format(request)["json_schema"]["schema"]["anyOf"]


def test_conversation_of_a_model_that_replies_in_json_is_json() -> None:
    conversation = [*CONVERSATION, AssistantMessage(content="5.", source="A")]
    assert shown(as_replies(conversation, "You reply in JSON.")) == [
        ("System", "Be brief.\n\nYou reply in JSON."),
        ("User", "What is 2 + 3?"),
        ("Assistant", '{"tool": "calculate", "arguments": {"expression": "2+3"}}'),
        ("User", "Result of calculate: 5"),
        ("Assistant", '{"answer": "5."}'),
    ]


def test_conversation_of_a_model_that_answers_in_words_has_no_calls() -> None:
    assert shown(without_calls(CONVERSATION)) == [
        ("System", "Be brief."),
        ("User", "What is 2 + 3?"),
        ("Assistant", 'Hm.\n\ncalculate({"expression": "2+3"}) = 5'),
        ("User", "Answer with this result."),
    ]


def test_roles_take_turns_as_strict_templates_want_it() -> None:
    """In a team several speak before one model does, and AutoGen's instructions may come late."""
    messages: list[LLMMessage] = [
        SystemMessage(content="S"),
        UserMessage(content="a", source="user"),
        UserMessage(content=["b", "c"], source="Writer"),
        SystemMessage(content="later"),
        AssistantMessage(content="d", source="A"),
        AssistantMessage(content="e", source="A"),
    ]
    users = "user said:\na\n\nWriter said:\nb\nc\n\nlater"
    assert shown(in_turn(messages)) == [("System", "S"), ("User", users), ("Assistant", "d\n\ne")]
    users = "a\n\nlater"
    assert shown(in_turn([messages[1], messages[3]])) == [("User", users)]
    assert in_turn(CONVERSATION) == CONVERSATION
    assert in_turn([]) == []


def test_reply_is_a_call_of_one_of_the_tools_or_an_answer() -> None:
    call, ping, answer = schema_of(ModelRequest([], [CALCULATE, PING]))
    assert call["properties"]["tool"] == {"const": "calculate"}
    assert call["properties"]["arguments"]["properties"]["expression"]["type"] == "string"
    assert call["required"] == ["tool", "arguments"]
    assert ping["properties"]["arguments"] == {"type": "object", "properties": {}}
    assert answer["properties"] == {"answer": {"type": "string"}}
    assert all(reply["additionalProperties"] is False for reply in (call, ping, answer))


def test_choice_of_tools_is_kept() -> None:
    """No answer where a tool is required, and no other where one is named."""
    required = ModelRequest([], [CALCULATE, PING], tool_choice="required")
    assert [reply["properties"]["tool"]["const"] for reply in schema_of(required)] == ["calculate", "ping"]
    named = ModelRequest([], [CALCULATE, PING], tool_choice="ping")
    assert [reply["properties"]["tool"]["const"] for reply in schema_of(named)] == ["ping"]
    assert '"answer"' not in instructions(named)
    assert "calculate" not in instructions(named)


def test_model_is_told_of_every_tool_in_one_line_each() -> None:
    *_, first, second = instructions(ModelRequest([], [CALCULATE, PING])).splitlines()
    assert json.loads(first)["description"] == "Evaluate exactly."
    assert json.loads(first)["arguments"]["expression"]["type"] == "string"
    assert json.loads(second) == {"tool": "ping", "description": "", "arguments": {}}


class Address(BaseModel):
    """Points at itself."""

    city: str
    title: str = "none"
    previous: "Address | None" = None


def test_types_within_a_tools_arguments_are_put_in_place_and_a_type_within_itself_is_anything() -> None:
    parameters = ParametersSchema(
        type="object",
        properties={"to": {"$ref": "#/$defs/Address"}, "size": {"type": "string", "pattern": "^a$", "enum": ["a"]}},
        **{"$defs": Address.model_json_schema()["$defs"]},  # type: ignore[typeddict-item]  # AutoGen's type knows of none
    )
    (call,) = schema_of(ModelRequest([], [ToolSchema(name="send", parameters=parameters)], tool_choice="required"))
    properties = call["properties"]["arguments"]["properties"]
    assert properties["to"]["properties"]["city"] == {"type": "string"}
    assert properties["to"]["properties"]["title"] == {"type": "string", "default": "none"}
    assert properties["to"]["properties"]["previous"] == {"anyOf": [{}, {"type": "null"}], "default": None}
    assert properties["size"] == {"type": "string", "enum": ["a"]}
    assert "$ref" not in json.dumps(call)


def test_answer_may_have_a_shape_of_its_own() -> None:
    class Verdict(BaseModel):
        is_safe: bool

    *_, answer = schema_of(ModelRequest([], [PING], json_output=Verdict))
    assert answer["properties"]["answer"]["properties"] == {"is_safe": {"type": "boolean"}}
    *_, anything = schema_of(ModelRequest([], [PING], json_output=True))
    assert anything["properties"]["answer"] == {"type": "object"}
