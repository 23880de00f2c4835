"""A function tool is prepared once, is the same as AutoGen's own, and leaves nothing for the garbage collector."""

import functools
import gc
import inspect
import sys
import weakref
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Annotated, Any, Final, Literal

import pytest
from autogen_agentchat.base import Handoff
from autogen_core import CancellationToken
from autogen_core.tools import BaseTool, FunctionTool, ToolSchema
from pydantic import BaseModel, GetJsonSchemaHandler

from aiostream_server.config.model import OpenAIModelConfig, TeamConfig
from aiostream_server.models.registry import open_models
from aiostream_server.teams.autogen_private import function_tools
from aiostream_server.teams.autogen_private.function_tools import share_function_tools, shared_tool
from aiostream_server.teams.context import TeamContext

share_function_tools()


class Unit(Enum):
    """A type that is found by name."""

    METRE = "m"
    MILE = "mi"


class Place(BaseModel):
    """A model that pydantic describes."""

    name: str
    height: float | None = None


class Changing(BaseModel):
    """A model that describes itself, in a way that changes."""

    title: str
    shown: Any = None

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "title": _titles[-1]}


_titles: Final = ["first"]


def look(place: Place, unit: Unit = Unit.METRE, *, times: Annotated[int, "How often"] = 1) -> str:
    """Look at a place."""
    return f"{place.name} {unit.value} {times}"


async def choose(colour: Literal["red", "blue"], sizes: list[int] | None = None, note: str | int = "") -> str:
    return f"{colour} {sizes} {note}"


def wait(seconds: float, cancellation_token: CancellationToken) -> str:
    return str(seconds)


def nothing() -> str:
    return ""


def listed(names: list[str] = []) -> str:  # noqa: B006 - a default that can change
    return ",".join(names)


def changing(thing: Changing) -> str:
    return thing.title


def bounded(count: int = 1) -> str:
    return str(count)


def bounded_or_not(count: bool = True) -> str:
    return str(count)


@functools.wraps(look)
def looking(*args: Any, **named: Any) -> str:
    return look(*args, **named)


FUNCTIONS: Final[Sequence[Callable[..., Any]]] = (
    *(look, choose, wait, nothing, listed, changing, bounded, bounded_or_not, looking),
    functools.partial(choose, "red"),
)
IDS: Final = [getattr(function, "__name__", "partial") for function in FUNCTIONS]


def tool_of(function: Callable[..., Any], *, strict: bool = False) -> FunctionTool:
    name = getattr(function, "__name__", "partial")
    return FunctionTool(function, name=name, description="does it", strict=strict)


@pytest.fixture
def as_autogen(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., FunctionTool]], ToolSchema]:
    """Calls the function, and reads its tool's schema, with AutoGen as it is without the patches."""

    def read(make: Callable[..., FunctionTool]) -> ToolSchema:
        module = sys.modules[FunctionTool.__module__]
        with monkeypatch.context() as patch:
            for name in ("get_typed_signature", "args_base_model_from_signature"):
                patch.setattr(module, name, inspect.unwrap(getattr(module, name)))
            patch.setattr(BaseTool, "schema", property(inspect.unwrap(vars(BaseTool)["schema"].fget)))
            return make().schema

    return read


@pytest.mark.parametrize("function", FUNCTIONS, ids=IDS)
def test_schemas_are_those_of_autogen(function: Callable[..., Any], as_autogen: Any) -> None:
    expected = as_autogen(lambda: tool_of(function))
    assert [tool_of(function).schema for _ in range(3)] == [expected] * 3


@pytest.mark.parametrize("function", [look, choose, wait, nothing, bounded, looking])
def test_a_function_is_prepared_once(function: Callable[..., Any]) -> None:
    assert tool_of(function).args_type() is tool_of(function).args_type()


@pytest.mark.parametrize("function", [listed, changing])
def test_what_can_change_is_prepared_anew(function: Callable[..., Any]) -> None:
    assert tool_of(function).args_type() is not tool_of(function).args_type()


def test_a_schema_that_a_class_writes_itself_may_change() -> None:
    assert "first" in str(tool_of(changing).schema)
    _titles.append("second")
    assert "second" in str(tool_of(changing).schema)


def test_equal_defaults_of_different_types_are_different_tools() -> None:
    """In Python 1 equals True, and `int | str` equals `str | int`."""
    assert tool_of(bounded).schema["parameters"] != tool_of(bounded_or_not).schema["parameters"]
    bounded_or_not.__name__ = "bounded"
    assert tool_of(bounded).args_type() is not tool_of(bounded_or_not).args_type()


def test_a_function_that_was_changed_is_prepared_anew() -> None:
    def paint(colour: str) -> str:
        return colour

    assert tool_of(paint).schema["parameters"].get("required") == ["colour"]
    paint.__defaults__ = ("red",)
    assert tool_of(paint).schema["parameters"].get("required") == []
    paint.__annotations__["colour"] = int
    assert tool_of(paint).schema["parameters"]["properties"]["colour"]["type"] == "integer"


def test_functions_that_a_factory_makes_share_a_model_and_keep_their_own_values() -> None:
    def made(word: str) -> FunctionTool:
        async def say(times: int) -> str:
            return word * times

        return tool_of(say)

    assert made("a").args_type() is made("b").args_type()


async def test_each_tool_calls_its_own_function() -> None:
    def made(word: str) -> FunctionTool:
        async def say(times: int) -> str:
            return word * times

        return tool_of(say)

    said = [await made(word).run_json({"times": 2}, CancellationToken()) for word in "ab"]
    assert said == ["aa", "bb"]


def test_types_that_a_factory_makes_are_not_kept() -> None:
    def build() -> weakref.ref[type]:
        class Own(BaseModel):
            size: int

        def use(own: Own) -> str:
            return str(own)

        assert tool_of(use).schema["name"] == "use"
        return weakref.ref(Own)

    own = build()
    gc.collect()
    assert own() is None


def test_a_caller_may_change_its_schema() -> None:
    tool_of(look).schema["parameters"]["properties"].clear()
    assert tool_of(look).schema["parameters"]["properties"]


def test_strict_refuses_defaults_each_time() -> None:
    for _ in range(2):
        with pytest.raises(ValueError, match="Strict mode"):
            _ = tool_of(bounded, strict=True).schema
    assert tool_of(bounded).schema.get("strict") is False


def test_the_number_of_kept_models_is_bounded() -> None:
    for number in range(400):
        FunctionTool(nothing, name=f"nothing_{number}", description="")
    assert len(function_tools._models) <= 256


def test_tools_and_handoffs_leave_no_garbage() -> None:
    """AutoGen's own leave a class for each, in a cycle."""

    def use() -> None:
        for function in (look, choose, nothing, looking):
            assert tool_of(function).schema
        assert Handoff(target="Other").handoff_tool.schema

    use()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            use()
        assert gc.collect() < 20
    finally:
        gc.enable()


async def test_a_context_makes_tools_of_functions() -> None:
    models = OpenAIModelConfig(provider="openai", model="scripted", base_url="http://127.0.0.1:1/v1")
    async with open_models({"default": models}) as opened:
        context = TeamContext(TeamConfig(id="t", factory="x:y"), opened, {})
        tool = context.tool(look)
        assert (tool.name, tool.description) == ("look", "Look at a place.")
        assert context.tool(nothing).description == ""
        named = context.tool(look, name="see", description="Sees it")
        assert (named.name, named.description) == ("see", "Sees it")
        assert await tool.run_json({"place": {"name": "Here"}}, CancellationToken()) == "Here m 1"
        assert context.tool(look) is tool


async def test_the_tool_of_a_function_that_a_factory_makes_is_not_kept() -> None:
    def made(number: int) -> Callable[[], int]:
        return lambda: number

    first, second = made(1), made(2)
    assert shared_tool(first, "count", "") is not shared_tool(first, "count", "")
    assert await shared_tool(second, "count", "").run_json({}, CancellationToken()) == 2
