"""One table decides about every field of a request; the code, the page in `docs/` and OpenAI's types agree with it."""

import re
from pathlib import Path

from openai.types.chat.completion_create_params import (
    CompletionCreateParamsNonStreaming,
    CompletionCreateParamsStreaming,
)

from aiostream_server.errors import ServerError
from aiostream_server.protocols.chat.fields import FIELDS, PASSED_ON
from aiostream_server.protocols.chat.request import ChatRequest

PAGE = (Path(__file__).parents[2] / "docs" / "openai-api.md").read_text("utf-8")


def table(heading: str) -> list[tuple[str, ...]]:
    """The rows of the table under a heading of the page, without code quotes."""
    section = PAGE.split(f"## {heading}\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    return [tuple(re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in row) for row in rows[2:]]


def test_every_field_of_openai_is_decided_once() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))
    known = (
        CompletionCreateParamsStreaming.__annotations__.keys()
        | CompletionCreateParamsNonStreaming.__annotations__.keys()
    )
    assert set(names) == known


def test_the_model_reads_exactly_the_fields_that_are_not_ignored() -> None:
    heeded = {field.name for field in FIELDS if field.treatment != "ignored"}
    assert ChatRequest.model_fields.keys() == heeded
    assert set(PASSED_ON) < heeded


def test_the_page_shows_the_table() -> None:
    assert table("Request fields") == [(field.name, field.treatment, field.reason) for field in FIELDS]


def test_the_page_names_every_role() -> None:
    roles = {"system", "developer", "user", "assistant", "tool", "function"}
    assert {row[0] for row in table("Message roles")} == roles


def leaves(error: type[ServerError]) -> set[type[ServerError]]:
    return {error}.union(*(leaves(child) for child in error.__subclasses__() if child.__module__ == error.__module__))


def test_the_page_names_every_error() -> None:
    errors = {(str(error.status), error.code, error.type) for error in leaves(ServerError)}
    assert {row[:3] for row in table("Errors")} == errors
