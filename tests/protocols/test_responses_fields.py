"""One table decides about every field of a request; the code, the page in `docs/` and OpenAI's types agree with it."""

import json
import re
from pathlib import Path

from openai.types.responses import response_create_params as openai

from aiostream_server.protocols.responses import RESPONSES
from aiostream_server.protocols.responses.fields import FIELDS
from aiostream_server.protocols.responses.input_items import input_page
from aiostream_server.protocols.responses.kept import read_kept
from aiostream_server.protocols.responses.request import ResponsesRequest

PAGE = (Path(__file__).parents[2] / "docs" / "responses.md").read_text("utf-8")


def test_every_field_of_openai_is_decided_once() -> None:
    names = [field.name for field in FIELDS]
    assert len(names) == len(set(names))
    known = (
        openai.ResponseCreateParamsStreaming.__annotations__.keys()
        | openai.ResponseCreateParamsNonStreaming.__annotations__.keys()
    )
    assert set(names) == known


def test_the_model_reads_exactly_the_fields_that_are_not_ignored() -> None:
    heeded = {field.name for field in FIELDS if field.treatment != "ignored"}
    assert ResponsesRequest.model_fields.keys() == heeded


def test_the_page_shows_the_table() -> None:
    section = PAGE.split("## Request fields\n", 1)[1].split("\n## ", 1)[0]
    rows = [line.strip("|").split("|") for line in section.splitlines() if line.startswith("|")]
    shown = [tuple(re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in row) for row in rows[2:]]
    assert shown == [(field.name, field.treatment, field.reason) for field in FIELDS]


def test_of_a_long_input_the_newest_items_are_kept() -> None:
    items = [{"role": "user", "content": f"{number} {'x' * 3_000}"} for number in range(40)]
    asked = RESPONSES.question(json.dumps({"model": "m", "input": items}).encode(), None)
    assert len(asked.kept) < 70_000
    kept = read_kept(asked.kept).input
    assert len(kept) < 40
    assert kept[-1]["content"].startswith("39 ")
    assert input_page("run-x", read_kept(b""), 5, after=None, is_ascending=True)["data"] == []
