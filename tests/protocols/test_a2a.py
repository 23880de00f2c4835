"""A run as an A2A task: what a stream tells, and what a task looks like that is folded from the same log."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiostream_server.errors import Forbidden, InvalidRequest, ServerError, TooManyRuns
from aiostream_server.events import (
    Action,
    Answer,
    Entry,
    Error,
    Event,
    InputRequested,
    Message,
    RunFinished,
    RunStarted,
    Token,
    TokenCount,
    ToolResult,
    Waiting,
)
from aiostream_server.intake.question import ImagePart
from aiostream_server.protocols.a2a.errors import refusal, rest_refusal, task_not_found, unsupported
from aiostream_server.protocols.a2a.kept import KeptTask, later_run_id, run_id_of, task_id
from aiostream_server.protocols.a2a.request import (
    ClientMessage,
    ListParams,
    SendParams,
    TaskParams,
    digest_of,
    kept_message,
    question_in,
    read_params,
)
from aiostream_server.protocols.a2a.stream import TaskFrames, TaskOptions
from aiostream_server.protocols.a2a.task import TERMINAL, Task
from aiostream_server.protocols.a2a.whole import TaskCollector
from aiostream_server.protocols.json_rpc import RpcError, around_result, read_request
from aiostream_server.runs.card import RunCard
from tests.kit.pictures import png
from tests.present.telling import Told, runs

RUN = "run-AAAAAAAAAAAAAAAAAAAAAAAA"
FIELD_NAMES = st.sampled_from(
    ["message", "messageId", "role", "parts", "text", "raw", "url", "data", "mediaType", "contextId", "taskId", "id"]
)
SENT = {"messageId": "m1", "parts": [{"text": "How much?"}]}
AROUND = around_result(1)
DONE = RunFinished("stop", TokenCount(7, 5), 0.5)


ASKED = KeptTask("d", SENT)


def card_of(kept: KeptTask = ASKED, run_id: str = RUN) -> RunCard:
    return RunCard(run_id, "team", None, "ctx", "continue", 17.0, 0, None, None, protocol="a2a", kept=kept.encoded())


def entries_of(*events: Event) -> list[Entry]:
    return [Entry(number, 17.0 + number, event) for number, event in enumerate(events, 1)]


def results(frames: bytes, request_id: Any = 1) -> list[dict[str, Any]]:
    read = [json.loads(frame.removeprefix("data: ")) for frame in frames.decode("ascii").split("\n\n")[:-1]]
    assert all((each["jsonrpc"], each["id"]) == ("2.0", request_id) for each in read)
    return [each["result"] for each in read]


def streamed(entries: Sequence[Entry], card: RunCard | None = None) -> list[dict[str, Any]]:
    frames = TaskFrames(card or card_of(), TaskOptions(AROUND))
    return results(frames.opening(at_end=False) + frames.encode(entries))


def folded(entries: Sequence[Entry], **options: Any) -> dict[str, Any]:
    collector = TaskCollector(card_of(), TaskOptions(AROUND, **options))
    collector.add(entries)
    task: dict[str, Any] = json.loads(collector.body())["result"]["task"]
    return task


def told(result: dict[str, Any]) -> str:
    """A frame in a few words."""
    if "statusUpdate" in result:
        status = result["statusUpdate"]["status"]
        text = "".join(part["text"] for part in status.get("message", {}).get("parts", ()))
        return f"{status['state'].removeprefix('TASK_STATE_')} {text}".strip()
    if "artifactUpdate" in result:
        update = result["artifactUpdate"]
        flags = "+" * update.get("append", False) + "." * update.get("lastChunk", False)
        return f"{update['artifact']['artifactId']}{flags} {update['artifact']['parts'][0].get('text', '')}".strip()
    return f"task {result['task']['status']['state'].removeprefix('TASK_STATE_')}"


def test_a_stream_is_the_task_then_its_work_its_answer_and_its_end() -> None:
    entries = entries_of(
        RunStarted("team"),
        Waiting("2 questions come first", "turn", 2),
        Action("Ann", "add", '{"a": 1}', "c1"),
        ToolResult("Ann", "add", "3", "c1"),
        Message("Bob", "I agree."),
        Token("Ann", "It is ", "final"),
        Token("Ann", "3.", "final"),
        Answer("Ann", "It is 3.", streamed=True),
        DONE,
    )
    assert list(map(told, streamed(entries))) == [
        "task SUBMITTED",
        "SUBMITTED 2 questions come first",
        "WORKING Ann calls add",
        "WORKING add: 3",
        "WORKING Bob: I agree.",
        "answer It is",
        "answer+ 3.",
        "answer+.",
        "COMPLETED",
    ]
    last = streamed(entries)[-1]["statusUpdate"]
    assert last["metadata"]["usage"] == {"promptTokens": 7, "completionTokens": 5}
    assert last["status"]["timestamp"] == "1970-01-01T00:00:26.000Z"
    action = streamed(entries)[2]["statusUpdate"]["metadata"]["event"]
    assert (action["type"], action["tool"], action["arguments"]) == ("action", "add", '{"a": 1}')


@pytest.mark.parametrize(
    ("reason", "error", "state", "said"),
    [
        ("stop", None, "COMPLETED", None),
        ("length", None, "COMPLETED", None),
        ("cancelled", None, "CANCELED", None),
        ("error", Error("model_failed", "it broke"), "FAILED", "it broke"),
        ("interrupted", None, "FAILED", "the server is shutting down; ask again in a moment"),
    ],
)
def test_how_a_run_ended_is_the_state_of_its_task(
    reason: Any, error: Error | None, state: str, said: str | None
) -> None:
    end: list[Event] = [error] if error else []
    task = folded(entries_of(RunStarted("team"), *end, RunFinished(reason, TokenCount(), 0.1)))
    assert task["status"]["state"] == f"TASK_STATE_{state}"
    message = task["status"].get("message")
    assert (message and message["parts"][0]["text"]) == said
    assert task["metadata"]["finishReason"] == reason


def test_a_question_to_the_client_interrupts_the_task_and_the_reply_goes_on_in_it() -> None:
    asking = entries_of(RunStarted("team"), Answer("Ann", "Shall I?"), InputRequested("Ann", "Shall I?"), DONE)
    first = Task()
    first.begin(card_of())
    first.add(asking)
    assert first.state == "TASK_STATE_INPUT_REQUIRED"
    reply = KeptTask("e", {"messageId": "m2", "parts": [{"text": "yes"}]}, 2, RUN)
    collector = TaskCollector(card_of(reply, later_run_id(RUN, 2)), TaskOptions(AROUND, earlier=first))
    collector.add(entries_of(RunStarted("team"), Answer("Ann", "Done."), DONE))
    task = json.loads(collector.body())["result"]["task"]
    assert task["id"] == task_id(RUN)
    assert [(each["role"], each["parts"][0]["text"]) for each in task["history"]] == [
        ("ROLE_USER", "How much?"),
        ("ROLE_AGENT", "Shall I?"),
        ("ROLE_USER", "yes"),
    ]
    assert [(each["artifactId"], each["parts"][0]["text"]) for each in task["artifacts"]] == [
        ("answer", "Shall I?"),
        ("answer-2", "Done."),
    ]
    assert first.state == "TASK_STATE_INPUT_REQUIRED", "the earlier task is as it was"
    assert len({each["messageId"] for each in task["history"]}) == 3


def test_a_picture_of_the_answer_is_an_artifact_with_its_link() -> None:
    link = f"http://127.0.0.1:8000/v1/files/file-{'A' * 24}?expires=1&signature=x"
    text = f"See ![sales.png]({link}) and [elsewhere](http://example.com/v1/files/none)."
    entries = entries_of(RunStarted("team"), Answer("Ann", text), DONE)
    assert folded(entries)["artifacts"][1] == {
        "artifactId": "file-1",
        "name": "sales.png",
        "parts": [{"url": link, "mediaType": "image/png", "filename": "sales.png"}],
    }
    assert list(map(told, streamed(entries)))[-4:] == [f"answer {text}", "file-1.", "answer+.", "COMPLETED"]


@pytest.mark.parametrize(("wanted", "shown"), [(None, 1), (0, 0), (1, 1), (5, 1)])
def test_history_is_as_long_as_it_is_asked_for(wanted: int | None, shown: int) -> None:
    assert len(folded(entries_of(RunStarted("team"), DONE), history_length=wanted).get("history", ())) == shown


@given(runs(), st.data())
def test_any_run_is_a_stream_in_order_that_adds_up_to_the_task(run: Told, data: st.DataObject) -> None:
    """However it is cut into batches; and a viewer that joins at any event is told the same as one from the start."""
    entries = entries_of(*run.events)
    whole = TaskFrames(card_of(), TaskOptions(around_result("x"))).encode(entries)
    cut = data.draw(st.integers(0, len(entries)))
    frames = TaskFrames(card_of(), TaskOptions(around_result("x")))
    assert frames.encode(entries[:cut]) + frames.encode(entries[cut:]) == whole
    check_order(results(whole, "x"))
    task = folded(entries)
    assert add_up(results(whole, "x")) == (task["status"], texts(task))
    joined = Task()
    joined.begin(card_of())
    late = TaskFrames(card_of(), TaskOptions(around_result("x")))
    late.catch_up(joined, entries[:cut])
    rest = results(late.opening(at_end=False) + late.encode(entries[cut:]), "x")
    if cut:
        assert add_up(rest) == (task["status"], texts(task))


@given(runs(at_once=False))
def test_tokens_take_the_short_way_with_the_same_bytes(run: Told) -> None:
    whole, short = (
        TaskFrames(card_of(), TaskOptions(around_result(7))),
        TaskFrames(card_of(), TaskOptions(around_result(7))),
    )
    for entry in entries_of(*run.events):
        event = entry.event
        quick = short.encode_tokens(event.agent, event.kind, [event.content]) if isinstance(event, Token) else None
        slow = whole.encode([entry])
        assert quick in (None, slow)
        assert short.encode([entry]) == slow


def check_order(frames: list[dict[str, Any]]) -> None:
    """As the specification has it: the task, then updates, and nothing behind a terminal state."""
    assert [[*frame] for frame in frames if len(frame) != 1] == []
    assert "task" in frames[0]
    assert not any("task" in frame for frame in frames[1:])
    states = [frame["statusUpdate"]["status"]["state"] for frame in frames if "statusUpdate" in frame]
    assert [state in TERMINAL for state in states] == [False] * (len(states) - 1) + [True]
    assert "statusUpdate" in frames[-1]
    begun: set[str] = set()
    over: set[str] = set()
    for update in (frame["artifactUpdate"] for frame in frames if "artifactUpdate" in frame):
        artifact = update["artifact"]["artifactId"]
        assert update.get("append", False) == (artifact in begun)
        assert artifact not in over
        begun.add(artifact)
        over |= {artifact} if update.get("lastChunk") else set()
    assert begun == over


def add_up(frames: list[dict[str, Any]]) -> tuple[Any, dict[str, str]]:
    """The status, and the texts of the artifacts, as a client has them at the end."""
    status, found = None, {}
    for frame in frames:
        if "task" in frame:
            status, found = frame["task"]["status"], texts(frame["task"])
        elif "statusUpdate" in frame:
            status = frame["statusUpdate"]["status"]
        else:
            artifact = frame["artifactUpdate"]["artifact"]
            text = artifact["parts"][0].get("text", "")
            found[artifact["artifactId"]] = found.get(artifact["artifactId"], "") + text
    return status, found


def texts(task: dict[str, Any]) -> dict[str, str]:
    return {each["artifactId"]: each["parts"][0].get("text", "") for each in task.get("artifacts", ())}


def message(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messageId": "m", "role": "ROLE_USER", "parts": list(parts), **fields}


def read(*parts: dict[str, Any], **fields: Any) -> ClientMessage:
    return read_params(SendParams, {"message": message(*parts, **fields)}).message


def test_the_parts_of_a_message_are_the_question() -> None:
    picture = png().partition(",")[2]
    question = question_in(
        read(
            {"text": "What is this?"},
            {"data": {"unit": "cm"}},
            {"raw": picture, "mediaType": "image/png"},
            {"raw": "aMOpCg", "mediaType": "text/csv", "filename": "a.csv"},
        )
    )
    assert question.task.text == 'What is this?\n{"unit": "cm"}\nh\u00e9\n'
    assert question.task.images == (ImagePart("image/png", picture, "auto", 1),)


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "message: is required"),
        ({"message": message()}, "message.parts: must not be empty"),
        ({"message": message({"text": "x"}, role="user")}, "message.role: expected 'ROLE_USER', got 'user'"),
        (
            {"message": message({"text": "x"}, role="ROLE_AGENT")},
            "message.role: expected 'ROLE_USER', got 'ROLE_AGENT'",
        ),
        ({"message": message({"text": "x"}, messageId="")}, "message.messageId: must not be empty"),
        ({"message": message({"text": "x"}, contextId="a\nb")}, "message.contextId: "),
        ({"message": message({"text": 1})}, "message.parts[0].text: expected a string, got a number"),
        ({"message": message({"kind": "text"})}, "message.parts[0]: needs one of text, raw, url and data"),
        ({"message": message({"text": "x", "url": "y"})}, "message.parts[0]: has more than one of"),
        ({"message": message({"text": " "})}, "message.parts: hold neither text nor a picture"),
        (
            {"message": message({"url": "https://example.com/a.png"})},
            "message.parts[0].url: this server does not fetch",
        ),
        ({"message": message({"raw": "AAAA", "mediaType": "application/pdf"})}, "message.parts[0].mediaType: files of"),
        ({"message": message({"raw": "AAAA", "mediaType": "image/png"})}, "message.parts[0].raw: the image"),
        ({"message": message({"raw": "/w==", "mediaType": "text/plain"})}, "message.parts[0].raw: expected UTF-8"),
        (
            {"message": message({"text": "x"}), "configuration": {"historyLength": -1}},
            "configuration.historyLength: must",
        ),
    ],
)
def test_a_wrong_message_is_refused_with_the_place(params: dict[str, Any], problem: str) -> None:
    with pytest.raises(ServerError) as caught:
        question_in(read_params(SendParams, params).message)
    assert str(caught.value).startswith(problem)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELD_NAMES, inner, max_size=4),
    max_leaves=12,
)


@given(JSON, st.sampled_from([SendParams, TaskParams, ListParams]))
def test_any_parameters_are_read_or_refused(found: Any, shape: type[SendParams | TaskParams | ListParams]) -> None:
    """Nothing but the server's own errors is raised."""
    with suppress(ServerError):
        read_request(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "x", "params": found}).encode())
        params = read_params(shape, found if isinstance(found, dict) else {})
        if isinstance(params, SendParams):
            question_in(params.message)
            kept_message(params.message)


def test_numbers_and_flags_may_be_text_as_in_a_query() -> None:
    wanted = read_params(ListParams, {"pageSize": "5", "includeArtifacts": "true", "historyLength": 2.0})
    assert (wanted.pageSize, wanted.includeArtifacts, wanted.historyLength) == (5, True, 2)
    assert read_params(ListParams, {"pageSize": None}).pageSize == 50


def test_the_same_message_has_one_digest() -> None:
    one = message({"text": "x", "mediaType": "text/plain"})
    other = dict(reversed([*one.items()]))
    digest = digest_of(read(*one["parts"]), one)
    assert digest_of(read(*one["parts"]), other) == digest
    assert digest_of(read({"text": "y"}), message({"text": "y"})) != digest


def test_what_is_kept_of_a_message_is_bounded_and_has_no_files() -> None:
    kept = kept_message(read({"text": "x" * 30_000}, {"raw": "AAAA", "filename": "a.pdf"}))
    assert [len(part["text"]) for part in kept["parts"]] == [20_000]
    assert kept_message(read({"raw": "AAAA", "filename": "a.pdf"}))["parts"] == [{"text": "[a.pdf]"}]


def test_the_ids_of_tasks_and_runs_are_made_of_each_other() -> None:
    assert run_id_of(task_id(RUN)) == RUN
    assert run_id_of(RUN) is run_id_of("task-../etc/passwd") is run_id_of("") is None
    later = {later_run_id(RUN, turn) for turn in range(2, 50)}
    assert len(later) == 48
    assert all(run_id_of(task_id(run)) == run for run in later)


@pytest.mark.parametrize(
    ("body", "number"),
    [
        (b"{", -32700),
        (b"", -32700),
        (b"[]", -32600),
        (b'"x"', -32600),
        (b'{"id": 1, "method": "GetTask"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "GetTask"}', -32600),
        (b'{"jsonrpc": "2.0", "id": {}, "method": "GetTask"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "GetTask", "params": []}', -32600),
    ],
)
def test_what_is_no_request_is_refused_by_number(body: bytes, number: int) -> None:
    with pytest.raises(RpcError) as caught:
        read_request(body)
    assert caught.value.number == number
    assert caught.value.request_id == (1 if b'"id": 1' in body else None)
    assert json.loads(refusal(caught.value)[1])["id"] == caught.value.request_id


@pytest.mark.parametrize(
    ("error", "rpc", "rest"),
    [
        (task_not_found("task-x"), (200, -32001, "TASK_NOT_FOUND"), (404, "NOT_FOUND")),
        (RpcError(-32600, "no request", http_status=400), (200, -32600, None), (400, "FAILED_PRECONDITION")),
        (unsupported("no"), (200, -32004, "UNSUPPORTED_OPERATION"), (400, "FAILED_PRECONDITION")),
        (InvalidRequest("id: is required", param="id"), (200, -32602, None), (400, "INVALID_ARGUMENT")),
        (Forbidden("no"), (403, -32000, "FORBIDDEN"), (403, "PERMISSION_DENIED")),
        (TooManyRuns("later"), (429, -32000, "TOO_MANY_RUNS"), (429, "RESOURCE_EXHAUSTED")),
        (ServerError("a bug"), (500, -32603, None), (500, "INTERNAL")),
    ],
)
def test_an_error_has_the_shape_of_its_binding(
    error: ServerError, rpc: tuple[int, int, str | None], rest: tuple[int, str]
) -> None:
    status, raw = refusal(error, 7)
    body = json.loads(raw)
    reasons = [each.get("reason") for each in body["error"]["data"]]
    assert (status, body["error"]["code"], reasons[0] if reasons else None) == rpc
    assert (body["id"], body["error"]["message"]) == (7, str(error))
    status, raw = rest_refusal(error)
    assert (status, json.loads(raw)["error"]["status"]) == rest
    assert json.loads(raw)["error"]["code"] == status
