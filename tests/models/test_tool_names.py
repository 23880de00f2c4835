"""Names that every provider takes, the same in every order; and the tools' own names for everybody else."""

import re

import pytest
from autogen_core import FunctionCall
from autogen_core.models import (
    AssistantMessage,
    FunctionExecutionResult,
    FunctionExecutionResultMessage,
    LLMMessage,
    UserMessage,
)
from autogen_core.tools import FunctionTool
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.models.tool_names import is_valid, valid_names
from tests.kit.scripted_provider import Call, ScriptedAnswer
from tests.models.recording import scripted_client

GEMINI = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
OPENAI = re.compile(r"[a-zA-Z0-9_-]{1,64}")


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("plain", "plain"),
        ("list.files", "list_files"),
        ("Get weather", "Get_weather"),
        ("3d_print", "t_3d_print"),
        ("_private", "t_private"),
        ("", "t_"),
    ],
)
def test_a_name_keeps_what_it_can(name: str, valid: str) -> None:
    assert valid_names([name]) == {name: valid}


def test_of_names_that_would_be_one_the_valid_stays() -> None:
    made = valid_names(["a.b", "a_b", "a b"])
    assert made["a_b"] == "a_b"
    assert re.fullmatch(r"a_b_[0-9a-f]{8}", made["a.b"])
    assert len({*made.values()}) == 3
    assert valid_names(["a_b", "a b", "a.b"]) == made


def test_a_name_that_is_cut_has_a_hash_of_all_of_it() -> None:
    first, second = ("x" * 70 + end for end in "ab")
    made = valid_names([first, second])
    assert len({*made.values()}) == 2
    assert valid_names([first])[first] == made[first]


@given(st.lists(st.text(max_size=80) | st.sampled_from(["a.b", "a_b", "t_"]), unique=True, max_size=8))
def test_all_names_are_valid_distinct_and_independent_of_order(names: list[str]) -> None:
    made = valid_names(names)
    assert made.keys() == {*names}
    assert len({*made.values()}) == len(names)
    assert all(is_valid(name) and GEMINI.fullmatch(name) and OPENAI.fullmatch(name) for name in made.values())
    assert valid_names(reversed(names)) == made
    assert valid_names(made.values()) == {name: name for name in made.values()}


async def test_the_provider_gets_valid_names_and_everybody_else_the_tools_own() -> None:
    def weather(city: str) -> str:
        return city

    tool = FunctionTool(weather, name="Wetter für heute", description="weather")
    earlier: list[LLMMessage] = [
        UserMessage(content="hi", source="user"),
        AssistantMessage(content=[FunctionCall("c", "{}", "Wetter für heute")], source="A"),
        FunctionExecutionResultMessage(
            content=[FunctionExecutionResult(content="x", name="Wetter für heute", call_id="c")]
        ),
    ]
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer(Call("Wetter_f_r_heute", {"city": "Rome"})))
        result = await client.create(earlier, tools=[tool], tool_choice=tool)
        body = provider.exchanges[0].body
    assert isinstance(result.content, list)
    assert [call.name for call in result.content if isinstance(call, FunctionCall)] == ["Wetter für heute"]
    assert body["tools"][0]["function"]["name"] == "Wetter_f_r_heute"
    assert body["tool_choice"]["function"]["name"] == "Wetter_f_r_heute"
    assert body["messages"][1]["tool_calls"][0]["function"]["name"] == "Wetter_f_r_heute"
