"""`/v1/ai-sdk/{model}`: a page asks, leaves, comes back, stops, answers what a team asks; refused as the others are."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from aiostream_server.config.load import load_config
from aiostream_server.config.model import LimitsConfig, TeamConfig
from tests.kit.scripted_provider import BreakOff, Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import Server, config_for, sample_team, serving, until_idle
from tests.web.test_keys import keyed
from tests.web.ui_chat import chat, chatting, resuming, said_by, stop
from tests.web.watching import WORDS, solo

QUESTION = "Which region had the highest total sales?"


async def test_an_answer_is_one_message_with_its_parts_in_order(tmp_path: Path) -> None:
    async with serving(load_config(None, {}), tmp_path) as server:
        stream = await chat(server.url, QUESTION, model="auto")
    assert stream.response.headers["x-vercel-ai-ui-message-stream"] == "v1"
    assert stream.response.content_type == "text/event-stream"
    assert stream.kinds[:2] == ["start", "start-step"]
    assert stream.kinds[-2:] == ["finish-step", "finish"]
    assert stream.raw.endswith(b"data: [DONE]\n\n")
    assert stream.chunks[0]["messageId"] == stream.run_id
    assert stream.only("data-routing")["data"]["team"] == "data"
    assert stream.only("data-validation")["data"]["approved"] is True
    source = stream.only("source-document")
    assert source["title"].startswith("SQL query 1")
    assert "SELECT" in source["providerMetadata"]["aiostream"]["text"]
    calls = {chunk["toolCallId"]: chunk for chunk in stream.chunks if chunk["type"] == "tool-input-available"}
    outputs = [chunk for chunk in stream.chunks if chunk["type"] == "tool-output-available"]
    assert [calls[output["toolCallId"]]["toolName"] for output in outputs] == ["schema", "query"]
    assert "had the highest total sales" in stream.text
    file = stream.only("file")
    assert file["mediaType"] == "text/csv"
    assert file["url"] in stream.text
    told = stream.only("finish")
    assert told["finishReason"] == "stop"
    assert told["messageMetadata"]["usage"]["total_tokens"] > 0


async def test_a_page_that_leaves_ends_nothing_and_gets_the_same_stream_when_it_comes_back(tmp_path: Path) -> None:
    gate = Gate()
    async with solo(tmp_path, ScriptedAnswer(*WORDS[:3], gate, *WORDS[3:])) as server:
        async with chatting(server.url, "hi", id="talk") as left:
            await left.until("text-delta")
        async with resuming(server.url, "talk") as first, resuming(server.url, "talk") as second:
            await first.until("text-delta")
            gate.open()
            await asyncio.gather(first.read_all(), second.read_all())
        assert first.raw == second.raw
        assert first.raw.startswith(left.raw)
        assert first.text == "".join(WORDS)
        assert first.run_id == left.run_id
        assert first.response.headers["x-vercel-ai-ui-message-stream"] == "v1"
        await until_idle(server)
        async with resuming(server.url, "talk") as late:
            assert late.response.status == 204


async def test_where_nothing_runs_there_is_nothing_to_resume_or_to_stop(tmp_path: Path) -> None:
    async with solo(tmp_path) as server:
        async with resuming(server.url, "none") as nothing:
            assert nothing.response.status == 204
        assert await stop(server.url, "none") == (204, None)


async def test_a_stop_ends_the_run_and_its_stream_with_abort(tmp_path: Path) -> None:
    async with (
        solo(tmp_path, ScriptedAnswer("one ", Gate())) as server,
        chatting(server.url, "hi", id="talk") as stream,
    ):
        await stream.until("text-delta")
        status, run = await stop(server.url, "talk")
        await stream.read_all()
    assert (status, run["id"], run["reason"]) == (200, stream.run_id, "cancelled")
    assert stream.kinds[-4:] == ["text-end", "finish-step", "message-metadata", "abort"]
    assert stream.raw.endswith(b"data: [DONE]\n\n")


async def test_a_failure_is_an_error_chunk_behind_closed_parts(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("so far ", BreakOff())) as server:
        stream = await chat(server.url, "hi")
    assert stream.kinds[-4:] == ["text-end", "finish-step", "message-metadata", "error"]
    assert stream.only("message-metadata")["messageMetadata"]["reason"] == "error"
    assert stream.raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize("sends", ["all", "last", "message"])
async def test_a_chat_goes_on_whether_the_page_sends_all_messages_or_the_last(tmp_path: Path, sends: str) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Blue."), ScriptedAnswer("Green."), ScriptedAnswer("Red."))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            messages: list[dict[str, Any]] = []
            for said in ("first?", "second?", "third?"):
                messages.append(said_by("user", said))
                sent = {"all": messages, "last": messages[-1:], "message": []}[sends]
                alone = {"message": messages[-1]} if sends == "message" else {}
                stream = await chat(server.url, *sent, id="talk", **alone)
                await until_idle(server)
                messages.append(said_by("assistant", {"type": "step-start"}, stream.text))
        heard = [message["content"] for message in provider.exchanges[2].body["messages"]]
    assert heard[-5:] == ["first?", "Blue.", "second?", "Green.", "third?"]


@pytest.mark.parametrize("fields", [{"trigger": "regenerate-message"}, {"messageId": "m"}])
async def test_a_first_question_that_replaces_another_begins_anew(tmp_path: Path, fields: dict[str, Any]) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Blue."), ScriptedAnswer("Green."))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            await chat(server.url, "first?", id="talk")
            await until_idle(server)
            await chat(server.url, "other?", id="talk", **fields)
        assert "first?" not in json.dumps(provider.exchanges[1].body)


@pytest.fixture
async def careful(tmp_path: Path) -> AsyncIterator[Server]:
    """The data-analysis team, which asks before it runs a query."""
    demo = load_config(None, {})
    team = TeamConfig(id="careful", factory="aiostream_server.teams.data:build", settings={"ask_first": True})
    async with serving(demo.model_copy(update={"teams": (team,)}), tmp_path) as server:
        yield server


@pytest.mark.parametrize(
    ("approval", "reply", "runs_it"),
    [
        ({"approved": True}, "yes", True),
        ({"approved": False}, "no", False),
        ({"approved": False, "reason": "only the year 2024"}, "only the year 2024", False),
    ],
)
@pytest.mark.parametrize("sends", ["messages", "message"])
async def test_an_approval_is_asked_for_answered_and_ended(
    careful: Server, approval: dict[str, Any], reply: str, runs_it: bool, sends: str
) -> None:
    asked = await chat(careful.url, QUESTION, model="careful", id="talk")
    request = asked.only("tool-approval-request")
    call = next(c for c in asked.chunks if c["type"] == "tool-input-available" and c["toolName"] == "approval")
    assert call["toolCallId"] == request["toolCallId"]
    assert "SELECT" in call["input"]["question"]
    assert asked.only("data-input")["data"]["approval"] is True
    assert asked.only("finish")["finishReason"] == "stop"
    await until_idle(careful)
    part = {
        "type": "dynamic-tool",
        "toolName": "approval",
        "toolCallId": request["toolCallId"],
        "state": "approval-responded",
        "input": call["input"],
        "approval": {"id": request["approvalId"], **approval},
    }
    answered = said_by("assistant", {"type": "step-start"}, asked.text, part, message_id=asked.run_id)
    fields: dict[str, Any] = {"id": "talk", "model": "careful", "messageId": asked.run_id}
    if sends == "messages":
        after = await chat(careful.url, QUESTION, answered, **fields)
    else:
        after = await chat(careful.url, message=answered, **fields)
    assert after.chunks[0]["messageId"] == asked.run_id, "the page goes on in the same message"
    assert [chunk["type"] for chunk in after.chunks[1:4]] == [
        "tool-input-available",
        "tool-output-available",
        "start-step",
    ]
    assert after.chunks[2]["output"] == {"approved": approval["approved"], "reply": reply}
    assert (any(chunk["type"] == "source-document" for chunk in after.chunks)) is runs_it


async def test_refusals_have_their_status_and_openais_shape(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, keys):
        right, wrong = ({"Authorization": f"Bearer {key}"} for key in (keys["all"], "no"))
        told = []
        for headers, model, body in (
            (wrong, "general", {}),
            (right, "none", {"messages": [said_by("user", "hi")]}),
            (right, "general", {"messages": []}),
            (right, "general", {}),
            (right, "general", {"messages": [said_by("user", " ")]}),
            (right, "general", {"messages": [said_by("robot", "hi")]}),
            (right, "general", {"messages": [said_by("user", {"type": "file", "url": "https://x/y.png"})]}),
            (right, "general", {"messages": [said_by("assistant", "hi")]}),
        ):
            async with chatting(server.url, model=model, headers=headers, **body) as stream:
                told.append((stream.response.status, (await stream.response.json())["error"]["param"]))
        for status in ((await stop(server.url, "c", headers=wrong))[0],):
            assert status == 401
        async with resuming(server.url, "c", headers=wrong) as refused:
            assert refused.response.status == 401
    assert told == [
        (401, None),
        (404, "model"),
        (400, "messages"),
        (400, "messages"),
        (400, "messages"),
        (400, "messages[0].role"),
        (400, "messages[0].parts[0].url"),
        (400, "messages"),
    ]


async def test_a_chat_belongs_to_the_key_that_asked(tmp_path: Path) -> None:
    async with keyed(tmp_path, ann=None, bob=None) as (server, keys):
        ann, bob = ({"Authorization": f"Bearer {keys[name]}"} for name in ("ann", "bob"))
        async with chatting(server.url, QUESTION, model="data", headers=ann, id="talk") as stream:
            await stream.until("start")
            async with resuming(server.url, "talk", headers=bob) as other:
                assert other.response.status == 204
            assert (await stop(server.url, "talk", headers=bob))[0] == 204


async def test_a_full_server_refuses_with_429(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Gate()))
        limits = LimitsConfig(max_runs=1, queue_size=0)
        async with serving(config_for(provider.base_url, sample_team("solo"), limits=limits), tmp_path) as server:
            async with chatting(server.url, "hi", id="talk") as stream:
                await stream.until("text-delta")
                async with chatting(server.url, "hi") as refused:
                    assert refused.response.status == 429
                    assert "Retry-After" in refused.response.headers
            await stop(server.url, "talk")


async def test_a_repeated_key_is_given_the_same_run(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer(*WORDS)) as server:
        streams = [await chat(server.url, "hi", headers={"Idempotency-Key": "k"}) for _ in range(2)]
    assert streams[0].raw == streams[1].raw
    assert streams[1].response.headers["Idempotent-Replayed"] == "true"


async def test_results_of_the_pages_tools_reach_the_model_as_pairs(tmp_path: Path) -> None:
    """But not a call that has no result: providers refuse it."""
    result = {"city": "Rome"}
    done = {"type": "tool-place", "toolCallId": "c1", "state": "output-available", "input": {}, "output": result}
    failed = {"type": "tool-time", "toolCallId": "c2", "state": "output-error", "input": {}, "errorText": "no clock"}
    unanswered = {"type": "tool-place", "toolCallId": "c0", "state": "input-available", "input": {}}
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("Sunny."))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            talk = ("hm?", said_by("assistant", unanswered, "Where?"), "weather?")
            stream = await chat(server.url, *talk, said_by("assistant", done, failed, message_id="a"), id="t")
        heard = json.dumps(provider.exchanges[0].body["messages"])
    assert stream.chunks[0]["messageId"] == "a"
    assert [heard.count(word) for word in ('"c0"', '"c1"', '"c2"')] == [0, 2, 2]
    assert "no clock" in heard


async def test_the_pages_system_prompt_reaches_the_model(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("ok"))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            await chat(server.url, "hi", system="Be brief.", id="talk")
        assert "Be brief." in provider.exchanges[0].body["messages"][0]["content"]
