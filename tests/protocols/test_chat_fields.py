"""`docs/openai-api.md` decides about every field of a request; the code and OpenAI's types agree with it."""

from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from aiostream_server.errors import ServerError
from aiostream_server.protocols.chat.request import PASSED_ON, ChatRequest
from tests.kit.doc_tables import heeded, request_fields, table

PAGE = "openai-api.md"


def test_every_field_of_openai_is_decided_once() -> None:
    names = [field.name for field in request_fields(PAGE)]
    assert len(names) == len(set(names))
    known = (
        CompletionCreateParamsStreaming.__annotations__.keys()
        | CompletionCreateParamsNonStreaming.__annotations__.keys()
    )
    assert set(names) == known


def test_the_model_reads_exactly_the_fields_that_are_not_ignored() -> None:
    assert ChatRequest.model_fields.keys() == heeded(PAGE)


def test_exactly_the_fields_that_are_passed_on_reach_the_model() -> None:
    assert [field.name for field in request_fields(PAGE) if field.treatment == "passed on"] == [*PASSED_ON]


def test_the_page_names_every_role() -> None:
    roles = {"system", "developer", "user", "assistant", "tool", "function"}
    assert {row[0] for row in table(PAGE, "Message roles")} == roles


def leaves(error: type[ServerError]) -> set[type[ServerError]]:
    return {error}.union(*(leaves(child) for child in error.__subclasses__() if child.__module__ == error.__module__))


def test_the_page_names_every_error() -> None:
    errors = {(str(error.status), error.code, error.type) for error in leaves(ServerError)}
    assert {row[:3] for row in table(PAGE, "Errors")} == errors
