"""The demo model calls tools that it does not know by themselves: the client's."""

import json
from typing import Any

import pytest
from autogen_core.tools import ToolSchema

from aiostream_server.errors import SchemaNotMet
from aiostream_server.models.provider import ModelRequest, ToolChoice
from tests.models.demo import CALCULATOR, TEXT, DemoAnswer, answer, ask, called, returned, tool, user

WEATHER = tool("get_weather", city=TEXT)
CONVERT = tool("convertUnits", amount={"type": "number"}, unit={"enum": ["km", "miles"]})
TOOLS = [*CALCULATOR, CONVERT, WEATHER]


async def forced(question: str, wanted: ToolSchema, choice: ToolChoice = "required") -> DemoAnswer:
    return await ask(ModelRequest([user(question)], [*CALCULATOR, wanted], choice))


@pytest.mark.parametrize(
    ("question", "name", "arguments"),
    [
        ("What is the weather in Oslo?", "get_weather", {"city": "Oslo"}),
        ("Is the Weather in San Francisco good today?", "get_weather", {"city": "San Francisco"}),
        ("The weather at “the north pole”, please", "get_weather", {"city": "the north pole"}),
        ("Convert 12 km", "convertUnits", {"amount": 12, "unit": "km"}),
        ("What is 15% of 850?", "calculate", {"expression": "15% of 850"}),
    ],
)
async def test_it_calls_the_tool_that_the_question_mentions(
    question: str, name: str, arguments: dict[str, Any]
) -> None:
    said = await answer(user(question), tools=TOOLS)
    assert (said.tool, json.loads(said.arguments)) == (name, arguments)


async def test_it_repeats_the_result() -> None:
    messages = user("The weather in Oslo?"), called("get_weather"), returned("get_weather", "It rains.")
    said = await answer(*messages, tools=TOOLS)
    assert not said.tool
    assert "get_weather answered: It rains." in said.text


async def test_a_forced_call_is_of_the_clients_tools() -> None:
    for choice in ("required", "get_weather"):
        said = await forced("Tell me of Oslo", WEATHER, choice)
        assert (said.tool, json.loads(said.arguments)) == ("get_weather", {"city": "Oslo"})
    with pytest.raises(SchemaNotMet, match="cannot fill 'amount' from the question"):
        await forced("Hello there", CONVERT)


async def test_a_question_about_none_of_them_is_answered_as_without_them() -> None:
    for question in ("hello", "Convert it"):
        with_tools, without = await answer(user(question), tools=TOOLS), await answer(user(question), tools=CALCULATOR)
        assert (with_tools.tool, with_tools.text) == ("", without.text)
