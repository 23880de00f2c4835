"""JSON is asked for in the first form that is not refused: by its schema, as `json_object`, or in words."""

from collections.abc import Mapping
from typing import Any, Final

import pytest
from autogen_core.models import SystemMessage, UserMessage
from pydantic import BaseModel

from aiostream_server.models.openai.output_formats import OutputFormats
from aiostream_server.models.provider import ExtraFields, KeptAnswer, ModelRequest
from tests.kit.scripted_provider import HttpError, Reply, ScriptedAnswer
from tests.models.recording import scripted_client
from tests.models.test_client import HELLO

SCHEMAS_REFUSED: Final = [
    "This response_format type is unavailable now",  # DeepSeek
    "'response_format.type' : value is not one of the allowed values ['text','json_object']",  # Groq
    "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model.",  # OpenAI
    "json_schema response format is not supported for model: x",  # DeepInfra
]
NOTHING_TAKEN: Final = [
    "The response_format parameter is unsupported at the moment. Leave it unset.",  # xAI
    "Json mode response is not supported when enable_thinking is true",  # Qwen
    "Function calling with a response mime type: 'application/json' is unsupported",  # Gemini 2.5
]
OF_ONE_SCHEMA: Final = [
    "Invalid schema for response_format 'Trip': In context=(), 'additionalProperties' is required",  # OpenAI
    "The provided JSON schema contains features not supported by xgrammar.",  # vLLM
]


class Trip(BaseModel):
    city: str


class Stay(BaseModel):
    nights: int


def form(formats: OutputFormats, output: Any = Trip, **options: Any) -> tuple[str, str]:
    """The type of the format that is sent, and the leading system message."""
    request, sent = formats.asked(ModelRequest([UserMessage(content="hi", source="user")], json_output=output), options)
    first = request.messages[0]
    return sent.get("response_format", {}).get("type", ""), first.content if isinstance(first, SystemMessage) else ""


def refuse(formats: OutputFormats, text: str, status: int = 400, output: Any = Trip) -> bool:
    _, sent = formats.asked(ModelRequest(HELLO, json_output=output), {})
    return formats.learn(
        ModelRequest(HELLO, json_output=output), sent, status, f'{{"error": {{"message": "{text}"}}}}'.encode()
    )


def test_nothing_is_changed_before_a_refusal() -> None:
    formats = OutputFormats()
    assert form(formats) == ("json_schema", "")
    assert form(formats, True) == ("json_object", "")
    assert form(formats, False) == ("", "")
    assert form(formats, False, response_format={"type": "text"}) == ("text", "")
    assert form(formats, False, response_format={"type": "json_object"}) == ("json_object", "")


@pytest.mark.parametrize("text", SCHEMAS_REFUSED)
@pytest.mark.parametrize("status", [400, 405, 422])
def test_without_schemas_an_object_is_asked_for_and_the_schema_described(text: str, status: int) -> None:
    formats = OutputFormats()
    assert refuse(formats, text, status)
    for output in (Trip, Stay):
        kind, words = form(formats, output)
        assert kind == "json_object"
        assert "JSON schema" in words
        assert next(iter(output.model_fields)) in words
    assert form(formats, True) == ("json_object", "")


@pytest.mark.parametrize("text", NOTHING_TAKEN)
def test_without_any_format_words_are_left(text: str) -> None:
    formats = OutputFormats()
    assert refuse(formats, text)
    assert form(formats)[0] == "json_object"
    assert refuse(formats, text)
    assert form(formats)[0] == ""
    assert "city" in form(formats)[1]
    assert not refuse(formats, text), "nothing is left to try"


def test_schemas_may_be_taken_where_objects_are_not() -> None:
    """LM Studio."""
    formats = OutputFormats()
    assert refuse(formats, "'response_format.type' must be 'json_schema' or 'text'", output=True)
    assert form(formats, True) == ("", "Answer with one JSON object, without anything around it.")
    assert form(formats) == ("json_schema", "")


def test_a_format_among_the_options_is_sent_as_it_is_and_its_refusal_is_remembered() -> None:
    formats = OutputFormats()
    option = {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}}
    request = ModelRequest(HELLO)
    assert formats.asked(request, option) == (request, option)
    assert formats.takes_schemas
    assert not formats.learn(request, option, 400, SCHEMAS_REFUSED[0].encode())
    assert not formats.takes_schemas
    assert formats.asked(request, option) == (request, option)
    assert form(formats)[0] == "json_object"


@pytest.mark.parametrize("text", OF_ONE_SCHEMA)
def test_one_schema_that_is_refused_does_not_speak_for_others(text: str) -> None:
    formats = OutputFormats()
    assert refuse(formats, text)
    assert form(formats)[0] == "json_object"
    assert form(formats, Stay) == ("json_schema", "")


def test_the_word_json_is_said_where_it_is_wanted() -> None:
    formats = OutputFormats()
    text = "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'."
    assert refuse(formats, text, output=True)
    assert form(formats, True) == ("json_object", "Answer with one JSON object, without anything around it.")
    assert not refuse(formats, text, output=True)


@pytest.mark.parametrize(
    ("status", "text"), [(429, SCHEMAS_REFUSED[0]), (500, SCHEMAS_REFUSED[0]), (400, "temperature is not supported")]
)
def test_other_refusals_teach_nothing(status: int, text: str) -> None:
    formats = OutputFormats()
    assert not refuse(formats, text, status)
    assert form(formats) == ("json_schema", "")


def test_names_of_schemas_take_bounded_memory() -> None:
    formats = OutputFormats()
    for number in range(3000):
        named = {"type": "json_schema", "json_schema": {"name": f"S{number}", "schema": {}}}
        formats.learn(ModelRequest(HELLO), {"response_format": named}, 400, b"Invalid schema for response_format")
    assert len(formats._refused) <= 1000


def test_the_words_stand_in_the_leading_system_message_and_what_goes_back_keeps_its_place() -> None:
    formats = OutputFormats()
    assert refuse(formats, SCHEMAS_REFUSED[0])
    kept = {1: KeptAnswer("x", ExtraFields({}))}
    user = UserMessage(content="hi", source="user")
    led, _ = formats.asked(ModelRequest([SystemMessage(content="Be brief."), user], json_output=Trip, kept=kept), {})
    assert str(led.messages[0].content).startswith("Be brief.\n\nAnswer with one JSON object")
    assert (len(led.messages), led.kept) == (2, kept)
    bare, _ = formats.asked(ModelRequest([user, user], json_output=Trip, kept=kept), {})
    assert (len(bare.messages), list(bare.kept)) == (3, [2])


async def test_a_model_without_schemas_is_asked_once_more_and_then_at_once_as_it_takes_it() -> None:
    def answer(body: Mapping[str, Any]) -> Reply:
        if body.get("response_format", {}).get("type") == "json_schema":
            return HttpError(400, {"error": {"message": SCHEMAS_REFUSED[0]}})
        assert "city" in body["messages"][0]["content"]
        return ScriptedAnswer('{"city": "Rome"}')

    async with scripted_client(model_info={"structured_output": True}) as (provider, client):
        provider.script(answer)
        for _ in range(2):
            assert (await client.create(HELLO, json_output=Trip)).content == '{"city": "Rome"}'
    assert len(provider.exchanges) == 3
