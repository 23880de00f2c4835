"""What a request may say; every mistake is named by its path, with what was expected."""

from typing import Any

import pytest
from pydantic import ValidationError

from aiostream_server.intake.body import first_problem
from aiostream_server.intake.data_url import parse_data_url
from aiostream_server.intake.question import ImagePart
from aiostream_server.protocols.chat.messages import ImageUrl, ImageUrlPart, PlainMessage, TextPart, UserMessage
from aiostream_server.protocols.chat.request import ChatRequest, read_question
from tests.kit.pictures import png

HI = {"role": "user", "content": "hi"}
PIXEL = png()


def request(**fields: Any) -> ChatRequest:
    return ChatRequest.model_validate({"model": "auto", "messages": [HI], **fields})


def problem(**fields: Any) -> tuple[str | None, str]:
    with pytest.raises(ValidationError) as caught:
        request(**fields)
    error = first_problem(caught.value)
    return error.param, str(error).removeprefix(f"{error.param}: ")


def image(**image_url: Any) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image_url", "image_url": image_url}]}]


def call(**fields: Any) -> dict[str, Any]:
    made = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    return {"role": "assistant", "tool_calls": [made | fields]}


@pytest.mark.parametrize(
    ("sent", "bound"),
    [(1024, 1024), (1024.0, 1024), ("1024", 1024), (0, None), (-1, None), ("0", None), ("-1", None), (0.0, None)],
)
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_bound_is_taken_in_every_form_that_programs_send(field: str, sent: object, bound: int | None) -> None:
    assert request(**{field: sent}).output_bound == bound


def test_what_programs_send_for_nothing_is_nothing() -> None:
    asked = request(response_format={}, reasoning_effort="", verbosity="", n=1.0, seed=7.0, max_tokens=None)
    question = read_question(asked)
    assert question.options == {"seed": 7}
    assert question.form is None
    assert read_question(request(response_format=None)).form is None


def test_the_other_names_of_image_types_are_known() -> None:
    """The type that counts is that of the bytes."""
    assert parse_data_url(PIXEL.replace("image/png", "image/jpg")) == parse_data_url(PIXEL)


def test_the_least_request_has_openais_defaults() -> None:
    least = request()
    assert (least.stream, least.n, least.stream_options.include_usage) == (False, 1, False)
    assert least.output_bound is None


def test_null_is_the_same_as_absent_for_every_optional_field() -> None:
    optional = [name for name, field in ChatRequest.model_fields.items() if not field.is_required()]
    assert request(**dict.fromkeys(optional)) == request()
    assert request(stream_options={"include_usage": None}) == request()


def test_unknown_and_ignored_fields_are_not_looked_at() -> None:
    assert request(logprobs="nonsense", functions=5, stop=object(), made_up=[{}]) == request()


@pytest.mark.parametrize(
    ("old", "new", "bound"), [(None, None, None), (7, None, 7), (None, 7, 7), (7, 5, 5), (5, 7, 5)]
)
def test_the_smaller_bound_counts(old: int | None, new: int | None, bound: int | None) -> None:
    assert request(max_tokens=old, max_completion_tokens=new).output_bound == bound


def test_text_only_is_no_refusal() -> None:
    request(n=1, response_format={"type": "text"}, modalities=["text"])


def test_messages_of_text_alone_and_others_keep_their_order() -> None:
    look = {"role": "user", "content": [{"type": "text", "text": "look"}]}
    read = request(messages=[HI, look, {"role": "assistant", "content": ""}, HI | {"name": "Ann"}]).messages
    assert read[0] == PlainMessage("user", "hi")
    assert read[2] == PlainMessage("assistant", "")
    assert isinstance(read[1], UserMessage)
    assert isinstance(read[3], UserMessage)
    assert (read[1].content, read[3].name) == ((TextPart(type="text", text="look"),), "Ann")


def test_a_request_may_be_built_in_python_too() -> None:
    picture = ImageUrlPart(type="image_url", image_url=ImageUrl(url=ImagePart("image/png", "AAAA")))
    message = UserMessage(role="user", content=(TextPart(type="text", text="look"), picture))
    plain = PlainMessage("assistant", "I see.")
    assert ChatRequest(model="auto", messages=(message, plain)).messages == (message, plain)


@pytest.mark.parametrize(
    ("fields", "param", "complaint"),
    [
        ({"model": None}, "model", "is required"),
        ({"model": ""}, "model", "must not be empty"),
        ({"model": ["auto"]}, "model", "expected a string, got a list"),
        ({"messages": None}, "messages", "is required"),
        ({"messages": []}, "messages", "must not be empty"),
        ({"messages": "hi"}, "messages", "expected a list, got a string"),
        ({"messages": HI}, "messages", "expected a list, got an object"),
        ({"stream": "yes"}, "stream", "expected true or false, got a string"),
        ({"stream": 1}, "stream", "expected true or false, got a number"),
        ({"stream_options": True}, "stream_options", "expected an object, got a boolean"),
        (
            {"stream_options": {"include_usage": 1}},
            "stream_options.include_usage",
            "expected true or false, got a number",
        ),
        ({"n": 2}, "n", "one answer is given per request: send 1, or leave it out"),
        ({"n": True}, "n", "expected an integer, got a boolean"),
        ({"max_tokens": -2}, "max_tokens", "must be at least 1"),
        ({"max_completion_tokens": 1.5}, "max_completion_tokens", "expected an integer, got a number"),
        ({"temperature": "hot"}, "temperature", "expected a number, got a string"),
        ({"temperature": True}, "temperature", "expected a number, got a boolean"),
        ({"temperature": 2.1}, "temperature", "must be at most 2.0"),
        ({"top_p": -1}, "top_p", "must be at least 0.0"),
        ({"presence_penalty": 3}, "presence_penalty", "must be at most 2.0"),
        ({"frequency_penalty": -3}, "frequency_penalty", "must be at least -2.0"),
        ({"seed": 10**30}, "seed", "must be less than 9223372036854775808"),
        ({"seed": 0.5}, "seed", "expected an integer, got a number"),
        ({"verbosity": "loud"}, "verbosity", "expected 'low', 'medium' or 'high', got 'loud'"),
        ({"verbosity": "x" * 41}, "verbosity", "expected 'low', 'medium' or 'high', got a string"),
        ({"modalities": ["text", "audio"]}, "modalities", "the answer is text: send ['text'], or leave it out"),
        ({"modalities": [1]}, "modalities[0]", "expected a string, got a number"),
        ({"audio": {"voice": "alloy"}}, "audio", "the answer is text: leave it out"),
        ({"response_format": "json"}, "response_format", "expected an object, got a string"),
        ({"response_format": {"type": 3}}, "response_format.type", "expected a string, got a number"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": []}}},
            "response_format.json_schema.schema",
            "expected an object, got a list",
        ),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], param: str, complaint: str) -> None:
    assert problem(**fields) == (param, complaint)


ROLE = "expected one of system, developer, user, assistant, tool"


@pytest.mark.parametrize(
    ("message", "param", "complaint"),
    [
        (5, "", "expected an object, got a number"),
        (None, "", "expected an object, got null"),
        ({"content": "hi"}, ".role", f"is required: {ROLE}"),
        ({"role": "boss", "content": "hi"}, ".role", f"{ROLE}, got 'boss'"),
        ({"role": 5, "content": "hi"}, ".role", f"{ROLE}, got a number"),
        ({"role": "plain", "content": "hi"}, ".role", f"{ROLE}, got 'plain'"),
        (
            {"role": "function", "name": "add", "content": "3"},
            ".role",
            f"{ROLE}, got 'function' (it is out of use: send 'tool', with a tool_call_id)",
        ),
        ({"role": "user"}, ".content", "is required"),
        ({"role": "user", "content": None}, ".content", "is required"),
        ({"role": "user", "content": 5}, ".content", "expected a string or a list of content parts, got a number"),
        ({"role": "user", "content": []}, ".content", "must not be empty"),
        ({"role": "user", "content": "hi", "name": 5}, ".name", "expected a string, got a number"),
        ({"role": "user", "content": ["hi"]}, ".content[0]", "expected an object, got a string"),
        ({"role": "user", "content": [{"type": "text"}]}, ".content[0].text", "is required"),
        (
            {"role": "user", "content": [{"text": "hi"}]},
            ".content[0].type",
            "is required: expected 'text' or 'image_url'",
        ),
        (
            {"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]},
            ".content[0].type",
            "expected 'text' or 'image_url', got 'input_audio'",
        ),
        (
            {"role": "assistant", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
            ".content[0].type",
            "expected 'text' or 'refusal', got 'image_url'",
        ),
        (
            {"role": "system", "content": [{"type": "image_url", "image_url": {"url": PIXEL}}]},
            ".content[0].type",
            "expected 'text', got 'image_url'",
        ),
        ({"role": "assistant", "content": None}, ".content", "is required where there are no tool_calls"),
        ({"role": "assistant", "tool_calls": "add"}, ".tool_calls", "expected a list, got a string"),
        (call(type="custom"), ".tool_calls[0].type", "expected 'function', got 'custom'"),
        (call(function={"name": "add"}), ".tool_calls[0].function.arguments", "is required"),
        ({"role": "tool", "content": "3"}, ".tool_call_id", "is required"),
    ],
)
def test_a_wrong_message_is_named(message: object, param: str, complaint: str) -> None:
    assert problem(messages=[HI, message]) == (f"messages[1]{param}", complaint)


@pytest.mark.parametrize(
    ("image_url", "param", "complaint"),
    [
        ({}, "url", "is required"),
        ({"url": 5}, "url", "expected a data URL as a string, got a number"),
        ({"url": PIXEL, "detail": "fine"}, "detail", "expected 'auto', 'low' or 'high', got 'fine'"),
        *[
            ({"url": url}, "url", "this server does not fetch URLs; send the image as a data URL")
            for url in ("http://169.254.169.254/latest", "HTTPS://example.com/a.png,b")
        ],
        *[
            ({"url": url}, "url", "expected a data URL: data:image/png;base64,...")
            for url in ("", "file:///etc/passwd", "data:image/png;base64", "data:image/png,rawbytes")
        ],
        *[
            ({"url": f"data:{kind};base64,AAAA"}, "url", "the image must be a PNG, JPEG, GIF or WebP")
            for kind in ("image/svg+xml", "text/html", "")
        ],
        *[
            ({"url": f"data:image/png;base64,{payload}"}, "url", "the image is not valid base64")
            for payload in ("", "A", "AAA", "AAAA\n", "AA AA", "AA==AA==", "A===", "ÄÄÄÄ", "AA-_", "AAAA,AAA")
        ],
    ],
)
def test_a_wrong_image_is_named(image_url: dict[str, Any], param: str, complaint: str) -> None:
    assert problem(messages=image(**image_url)) == (f"messages[0].content[0].image_url.{param}", complaint)


@pytest.mark.parametrize("head", ["data:image/png;base64", "DATA:IMAGE/PNG;charset=utf-8;BASE64"])
def test_an_image_stays_encoded(head: str) -> None:
    pixel = PIXEL.partition(",")[2]
    assert parse_data_url(f"{head},{pixel}") == ImagePart("image/png", pixel, pixels=1)


def test_the_first_wrong_item_ends_a_list() -> None:
    """A hostile list of wrong items costs one error, not one for each."""
    with pytest.raises(ValidationError) as caught:
        request(messages=[{}] * 100_000)
    assert caught.value.error_count() <= 2
