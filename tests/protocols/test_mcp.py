"""A run as the call of an MCP tool, and which requests are of which version."""

import json
from typing import Any

import pytest
from hypothesis import given
from multidict import CIMultiDict

from aiostream_server.errors import InvalidRequest, TooManyRuns
from aiostream_server.events import (
    Answer,
    Entry,
    Error,
    Event,
    InputRequested,
    Message,
    RunFinished,
    RunStarted,
    TokenCount,
)
from aiostream_server.protocols.json_rpc import RpcError, RpcRequest
from aiostream_server.protocols.mcp.call import CallFrames, CallOptions, CallResult
from aiostream_server.protocols.mcp.errors import refusal
from aiostream_server.protocols.mcp.tools import initialized, read_arguments
from aiostream_server.protocols.mcp.versions import LEGACY, MODERN, SUPPORTED, check_version
from aiostream_server.runs.card import RunCard
from tests.present.telling import Told, runs

CARD = RunCard("run-1", "team", "team", "talk", "cancel", 17.0, 0, None, None)
DONE = RunFinished("stop", TokenCount(7, 5), 0.5)
META = {"io.modelcontextprotocol/protocolVersion": MODERN[0], "io.modelcontextprotocol/clientCapabilities": {}}


def entries_of(*events: Event) -> list[Entry]:
    return [Entry(number, 17.0 + number, event) for number, event in enumerate(events, 1)]


def messages(frames: bytes) -> list[dict[str, Any]]:
    lines = [line for line in frames.decode("ascii").split("\n") if line.startswith("data: ")]
    return [json.loads(line.removeprefix("data: ")) for line in lines]


def result_of(*events: Event, is_modern: bool = True) -> dict[str, Any]:
    result = CallResult(CARD, CallOptions(1, is_modern=is_modern))
    result.add(entries_of(*events))
    found: dict[str, Any] = json.loads(result.body())["result"]
    return found


def test_the_answer_is_text_and_data_with_the_conversation() -> None:
    result = result_of(RunStarted("team"), Message("Bob", "Hm."), Answer("Ann", "It is 3."), DONE)
    assert [block["text"] for block in result["content"]] == ["It is 3.", "Conversation: talk"]
    assert result["structuredContent"] == {
        "answer": "It is 3.",
        "conversation": "talk",
        "waits_for_reply": False,
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 7, "completion_tokens": 5},
    }
    assert (result["isError"], result["resultType"]) == (False, "complete")
    assert "resultType" not in result_of(RunStarted("team"), DONE, is_modern=False)


def test_a_question_of_the_team_says_where_to_reply() -> None:
    result = result_of(RunStarted("team"), Answer("Ann", "Shall I?"), InputRequested("Ann", "Shall I?"), DONE)
    assert result["structuredContent"]["waits_for_reply"]
    assert result["content"][1]["text"] == "The team waits for your reply in the conversation talk."


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ([Error("model_failed", "it broke"), RunFinished("error", TokenCount(), 0.1)], "it broke"),
        ([RunFinished("cancelled", TokenCount(), 0.1)], "The call was cancelled."),
        ([RunFinished("interrupted", TokenCount(), 0.1)], "the server is shutting down; ask again in a moment"),
    ],
)
def test_a_failed_run_is_an_error_that_a_model_can_read(end: list[Event], said: str) -> None:
    result = result_of(RunStarted("team"), *end)
    assert result["isError"]
    assert [block["text"] for block in result["content"]] == [said]
    assert "structuredContent" not in result


@given(runs())
def test_any_run_is_growing_progress_and_then_the_result(run: Told) -> None:
    """However it is cut into batches; without a token there is the result alone."""
    entries = entries_of(*run.events)
    told = CallFrames(CARD, CallOptions("x", "token")).encode(entries)
    frames = CallFrames(CARD, CallOptions("x", "token"))
    assert b"".join(frames.encode([entry]) for entry in entries) == told
    *progress, last = messages(told)
    counted = [each["params"]["progress"] for each in progress]
    assert counted == [*range(1, len(counted) + 1)]
    assert {each["method"] for each in progress} <= {"notifications/progress"}
    assert {each["params"]["progressToken"] for each in progress} <= {"token"}
    assert all(each["params"]["message"] for each in progress)
    assert last["id"] == "x"
    result = CallResult(CARD, CallOptions("x"))
    result.add(entries)
    assert json.loads(result.body()) == last
    assert messages(CallFrames(CARD, CallOptions("x")).encode(entries)) == [last]


def call(method: str = "tools/list", *, has_id: bool = True, **params: Any) -> RpcRequest:
    return RpcRequest(1, method, params, has_id)


def headers(**sent: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): value for name, value in sent.items()})


def modern_headers(method: str = "tools/list", **others: str) -> CIMultiDict[str]:
    return headers(MCP_Protocol_Version=MODERN[0], Mcp_Method=method, **others)


@pytest.mark.parametrize("version", [*LEGACY, None])
def test_a_request_without_a_version_in_its_body_is_of_an_older_one(version: str | None) -> None:
    assert not check_version(call(), headers() if version is None else headers(MCP_Protocol_Version=version))


def test_a_request_that_says_its_version_stands_for_itself() -> None:
    assert check_version(call(_meta=META), modern_headers())
    named = call("tools/call", name="data", _meta=META)
    assert check_version(named, modern_headers("tools/call", Mcp_Name="data"))
    assert check_version(named, modern_headers("tools/call", Mcp_Name="=?base64?ZGF0YQ==?="))


@pytest.mark.parametrize(
    ("asked", "sent", "number"),
    [
        (call(), headers(MCP_Protocol_Version="2020-01-01"), -32022),
        (call(), modern_headers(), -32602),
        (call(_meta=META), headers(Mcp_Method="tools/list"), -32020),
        (call(_meta=META), headers(MCP_Protocol_Version=LEGACY[0], Mcp_Method="tools/list"), -32020),
        (call(_meta=META), headers(MCP_Protocol_Version=MODERN[0]), -32020),
        (call(_meta=META), modern_headers("tools/call"), -32020),
        (call("tools/call", name="data", _meta=META), modern_headers("tools/call", Mcp_Name="other"), -32020),
        (call("tools/call", name="data", _meta=META), modern_headers("tools/call", Mcp_Name="=?base64?%?="), -32020),
        (call(_meta={**META, "io.modelcontextprotocol/clientCapabilities": None}), modern_headers(), -32602),
        (
            call(_meta={**META, "io.modelcontextprotocol/protocolVersion": "2099-01-01"}),
            headers(MCP_Protocol_Version="2099-01-01", Mcp_Method="tools/list"),
            -32022,
        ),
    ],
)
def test_headers_that_contradict_the_body_are_refused(asked: RpcRequest, sent: CIMultiDict[str], number: int) -> None:
    with pytest.raises(RpcError) as caught:
        check_version(asked, sent)
    status, raw = refusal(caught.value, 1)
    error = json.loads(raw)["error"]
    assert (status, error["code"]) == (400, number)
    assert number != -32022 or error["data"]["supported"] == [*SUPPORTED]


def test_a_session_has_the_version_that_is_asked_for_if_there_is_one() -> None:
    assert initialized({"protocolVersion": LEGACY[1]})["protocolVersion"] == LEGACY[1]
    assert initialized({"protocolVersion": "2024-11-05"})["protocolVersion"] == LEGACY[0]
    assert initialized({})["protocolVersion"] == LEGACY[0]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (None, "question: is required"),
        ({"question": " \n"}, "question: must not be empty"),
        ({"question": 7}, "question: expected a string, got a number"),
        ({"question": "x", "conversation": ""}, "conversation: must not be empty"),
        ({"question": "x", "conversation": "a\nb"}, "conversation: "),
    ],
)
def test_wrong_arguments_are_told(arguments: Any, problem: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_arguments(arguments)
    assert str(caught.value).startswith(problem)


def test_a_refusal_keeps_its_status() -> None:
    status, raw = refusal(TooManyRuns("later"), "a")
    assert (status, json.loads(raw)["error"]["code"], json.loads(raw)["id"]) == (429, -32603, "a")
