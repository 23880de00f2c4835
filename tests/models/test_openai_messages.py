"""AutoGen's messages, tools and options reach the provider as OpenAI's API has them."""

import base64
from io import BytesIO
from typing import Any, Literal

import msgspec
import pytest
from autogen_core import FunctionCall, Image
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    SystemMessage,
    UserMessage,
)
from autogen_core.tools import ToolSchema
from hypothesis import example, given
from hypothesis import strategies as st
from PIL import Image as PillowImage
from pydantic import BaseModel, Field

from aiostream_server.config.providers import MessageNames
from aiostream_server.models.openai.messages import has_images, wire_messages
from aiostream_server.models.openai.output_formats import OutputFormats
from aiostream_server.models.openai.request import request_body
from aiostream_server.models.provider import ModelRequest


def body_of(request: ModelRequest, **options: Any) -> dict[str, Any]:
    asked, options = OutputFormats().asked(request, options)
    body: dict[str, Any] = msgspec.json.decode(request_body("m", options, asked))
    return body


def picture() -> Image:
    return Image(PillowImage.new("RGB", (2, 2), "red"))


HELLO: list[LLMMessage] = [UserMessage(content="hello", source="user")]
QUERY: ToolSchema = {"name": "query", "description": "Runs SQL"}


def test_leading_system_messages_become_one() -> None:
    """Many chat templates accept one only; a later one stays where it is."""
    messages: list[LLMMessage] = [
        SystemMessage(content="a"),
        SystemMessage(content="b"),
        UserMessage(content="c", source="Another"),
        SystemMessage(content="d"),
    ]
    assert wire_messages(messages) == [
        {"role": "system", "content": "a\nb"},
        {"role": "user", "content": "c"},
        {"role": "system", "content": "d"},
    ]


def test_tool_turns() -> None:
    """Calls, with the text said beside them, and each result in a message of its own."""
    results = [
        FunctionExecutionResult(content="4", name="add", call_id="1"),
        FunctionExecutionResult(content="no", name="div", call_id="2", is_error=True),
    ]
    messages: list[LLMMessage] = [
        AssistantMessage(content=[FunctionCall("1", '{"a":2}', "add")], thought="Let me see.", source="A"),
        FunctionExecutionResultMessage(content=results),
        AssistantMessage(content="four", thought="not sent back", source="A"),
    ]
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a":2}'}}
    assert wire_messages(messages) == [
        {"role": "assistant", "content": "Let me see.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
        {"role": "tool", "tool_call_id": "2", "content": "no"},
        {"role": "assistant", "content": "four"},
    ]


def test_images_are_data_urls() -> None:
    messages: list[LLMMessage] = [UserMessage(content=["what is it?", picture()], source="user")]
    assert has_images(messages)
    assert not has_images(HELLO)
    text, image = wire_messages(messages)[0]["content"]
    assert text == {"type": "text", "text": "what is it?"}
    kind, _, data = image["image_url"]["url"].partition(",")
    assert kind == "data:image/png;base64"
    assert PillowImage.open(BytesIO(base64.b64decode(data))).size == (2, 2)


any_text = st.lists(st.one_of(st.text(), st.sampled_from("\ud800\udbff\udc00\udfff"))).map("".join)


@example(text="half a pair: \ud83c", key="\udfaf")
@given(text=any_text, key=any_text)
def test_any_text_can_be_sent(text: str, key: str) -> None:
    """Lone surrogates, which UTF-8 cannot carry, are replaced; all other text arrives as it was."""
    body = body_of(
        ModelRequest([UserMessage(content=text, source="user")], options={"metadata": {key: [key, 1]}}),
    )
    content = body["messages"][0]["content"]
    assert content == text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_plain_request() -> None:
    """Nothing that was not asked for, but for the stream."""
    assert body_of(ModelRequest(HELLO)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hello"}],
        "stream": True,
    }


def test_what_makes_the_request_is_no_option() -> None:
    body = body_of(ModelRequest(HELLO), model="other", stream=False, messages=[], seed=1)
    assert (body["seed"], body["model"], body["stream"], len(body["messages"])) == (1, "m", True, len(HELLO))


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", None),
        ("none", "none"),
        ("required", "required"),
        ("query", {"type": "function", "function": {"name": "query"}}),
    ],
)
def test_tool_choice(choice: Literal["auto", "required", "none"], sent: object) -> None:
    assert body_of(ModelRequest(HELLO, tools=[QUERY], tool_choice=choice)).get("tool_choice") == sent


def test_tools() -> None:
    """A tool without parameters takes an empty object; `strict` is sent only where it is wanted."""
    strict: ToolSchema = {"name": "s", "parameters": {"type": "object", "properties": {}}, "strict": True}
    first, second = body_of(ModelRequest(HELLO, tools=[QUERY, strict]))["tools"]
    empty = {"type": "object", "properties": {}}
    assert first["function"] == {"name": "query", "description": "Runs SQL", "parameters": empty}
    assert second["function"] == {"name": "s", "description": "", "parameters": empty, "strict": True}


@pytest.mark.parametrize(
    ("names", "sent"),
    [
        ("none", {"content": "hello"}),
        ("field", {"content": "hello", "name": "The_Writer_"}),
        ("prefix", {"content": "The Writer! said:\nhello"}),
    ],
)
def test_names(names: MessageNames, sent: dict[str, Any]) -> None:
    """Only user messages have one; a field takes letters, digits, "_" and "-"."""
    said = UserMessage(content="hello", source="The Writer!")
    answered = AssistantMessage(content="hi", source="Me")
    assert wire_messages([said, answered], names) == [
        {"role": "user", **sent},
        {"role": "assistant", "content": "hi"},
    ]


def test_names_beside_images() -> None:
    """The first part names the source, if it is text."""
    text_first, image_first = (UserMessage(content=parts, source="A") for parts in (["x", picture()], [picture(), "x"]))
    first, second = wire_messages([text_first, image_first], "prefix")
    assert first["content"][0]["text"] == "A said:\nx"
    assert second["content"][1]["text"] == "x"
    assert wire_messages([UserMessage(content=[], source="A")], "prefix") == [{"role": "user", "content": []}]


def test_options_of_the_openai_package() -> None:
    """`extra_body` is part of the body, `timeout` is not; a class as `response_format` is a schema."""
    body = body_of(ModelRequest(HELLO), extra_body={"guided_json": {}}, timeout=3, response_format=Colour)
    assert body["guided_json"] == {}
    assert body.keys().isdisjoint({"extra_body", "timeout"})
    assert body["response_format"]["json_schema"]["name"] == "Colour"
    assert body_of(ModelRequest(HELLO), response_format={"type": "text"})["response_format"] == {"type": "text"}
    asked = body_of(ModelRequest(HELLO, json_output=True), response_format={"type": "text"})
    assert asked["response_format"] == {"type": "json_object"}


class Colour(BaseModel):
    default: str = "red"


class Route(BaseModel):
    """Which team."""

    team: Literal["data", "general"]
    colour: Colour = Field(description="of the team", default=Colour())
    others: list[Colour] = []


def test_json_output() -> None:
    """`True` is JSON mode, a pydantic model a strict schema: every property required, no other, no default."""
    assert body_of(ModelRequest(HELLO, json_output=True))["response_format"] == {"type": "json_object"}
    sent = body_of(ModelRequest(HELLO, json_output=Route))["response_format"]
    assert sent["type"] == "json_schema"
    schema = sent["json_schema"]["schema"]
    assert (sent["json_schema"]["name"], sent["json_schema"]["strict"]) == ("Route", True)
    assert schema["required"] == ["team", "colour", "others"]
    assert schema["additionalProperties"] is False
    assert schema["properties"]["team"]["enum"] == ["data", "general"]
    assert schema["properties"]["colour"] == {"$ref": "#/$defs/Colour"}
    assert schema["$defs"]["Colour"]["required"] == ["default"]
    assert "default" not in schema["$defs"]["Colour"]["properties"]["default"]
