"""`docs/responses.md` decides about every field of a request; the code and OpenAI's types agree with it."""

import json

from openai.types.responses import response_create_params as openai

from aiostream_server.protocols.responses import RESPONSES
from aiostream_server.protocols.responses.input_items import input_page
from aiostream_server.protocols.responses.kept import read_kept
from aiostream_server.protocols.responses.request import ResponsesRequest
from tests.kit.doc_tables import heeded, request_fields

PAGE = "responses.md"


def test_every_field_of_openai_is_decided_once() -> None:
    names = [field.name for field in request_fields(PAGE)]
    assert len(names) == len(set(names))
    known = (
        openai.ResponseCreateParamsStreaming.__annotations__.keys()
        | openai.ResponseCreateParamsNonStreaming.__annotations__.keys()
    )
    assert set(names) == known


def test_the_model_reads_exactly_the_fields_that_are_not_ignored() -> None:
    assert ResponsesRequest.model_fields.keys() == heeded(PAGE)


def test_of_a_long_input_the_newest_items_are_kept() -> None:
    items = [{"role": "user", "content": f"{number} {'x' * 3_000}"} for number in range(40)]
    asked = RESPONSES.question(json.dumps({"model": "m", "input": items}).encode(), None)
    assert len(asked.kept) < 70_000
    kept = read_kept(asked.kept).input
    assert len(kept) < 40
    assert kept[-1]["content"].startswith("39 ")
    assert input_page("run-x", read_kept(b""), 5, after=None, is_ascending=True)["data"] == []
