"""What is kept of a request: all that its turn needs to begin again."""

from dataclasses import fields, replace

import msgspec
import pytest
from msgspec import structs

from aiostream_server.intake.answer_form import JsonForm, OutputTool, ToolForm
from aiostream_server.intake.answer_schema import AnswerSchema
from aiostream_server.intake.client_tools import ClientTool, ToolChoice
from aiostream_server.intake.conversation import Conversation
from aiostream_server.intake.principal import Owner
from aiostream_server.intake.question import ImagePart, Question, ToolCall, Turn
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.shared.kept_request import MAX_BYTES, pack_request, unpack_request

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}
CALLED = Turn("assistant", "", tool_calls=(ToolCall("c1", "place", "{}"),))
QUESTION = Question(
    Turn("user", "hi", (ImagePart("image/png", "AAAA", "low", 4),), "Ann"),
    (Turn("system", "be brief"), CALLED, Turn("tool", "here", call_id="c1")),
    {"temperature": 0.5, "stop": ["x"]},
    max_tokens=7,
    max_own_calls=3,
    client_tools=(ClientTool("place", "where", SCHEMA, strict=True),),
    tool_choice=ToolChoice("named", ("place",), is_parallel=False),
)
REQUEST = RunRequest(
    QUESTION,
    "auto",
    owner=Owner("key", "user"),
    on_disconnect="continue",
    by_default="continue",
    conversation=Conversation("talk", resends=True, is_chain=True, continues="before"),
    link_base="https://x",
    fingerprint="f",
    protocol="chat",
    kept=b"\xff",
    tells_waiting=True,
)
NOT_KEPT = {"spec", "allowed", "run_id", "replies_to", "withdraws"}
"""The team is chosen, and the run has its id; whether a question waits for this reply was checked; a run that withdraws
a question has no team."""


def test_all_that_a_request_says_is_kept() -> None:
    packed = pack_request(REQUEST, "solo", "start")
    assert packed is not None
    kept = unpack_request(packed)
    assert kept == (REQUEST, "solo", "start")
    of_question = [each.name for each in fields(QUESTION)]
    for names, example, default, left_out in (
        (RunRequest.__struct_fields__, REQUEST, RunRequest(Question(Turn("user", "")), ""), NOT_KEPT),
        (of_question, QUESTION, Question(Turn("user", "")), {"form"}),
    ):
        same = {name for name in names if getattr(example, name) == getattr(default, name)}
        assert same <= left_out, "a field that no example here sets might be lost"


@pytest.mark.parametrize("is_named", [None, True, False])
def test_the_form_of_the_answer_is_kept(is_named: bool | None) -> None:
    schema = AnswerSchema(SCHEMA)
    form = JsonForm(schema, "n", "d") if is_named is None else ToolForm([OutputTool("n", "d", schema)], is_named)
    packed = pack_request(structs.replace(REQUEST, question=replace(QUESTION, form=form)), "solo", "")
    assert packed is not None
    found = unpack_request(packed).request.question.form
    assert type(found) is type(form)
    if isinstance(found, JsonForm):
        assert (found.name, found.description, found.schema.text) == ("n", "d", schema.text)
    elif found is not None:
        assert [(tool.name, tool.parameters.text) for tool in found.tools] == [("n", schema.text)]
        assert found.is_named is is_named


def test_a_request_that_is_too_large_is_not_kept() -> None:
    large = structs.replace(REQUEST, question=replace(QUESTION, task=Turn("user", "x" * MAX_BYTES)))
    assert pack_request(large, "solo", "") is None


def test_what_another_version_has_kept_is_refused() -> None:
    for packed in (b"", b"\x80", b"\xc1", b"\x81\xa5model\x01"):
        with pytest.raises(msgspec.MsgspecError):
            unpack_request(packed)
