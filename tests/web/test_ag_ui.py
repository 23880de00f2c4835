"""`/v1/ag-ui/{model}`: a thread is asked, left, replayed and repeated; refused as the others are."""

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.config.model import LimitsConfig
from tests.kit.scripted_provider import BreakOff, Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import config_for, sample_team, serving, until_idle
from tests.web.test_keys import keyed
from tests.web.watching import WORDS, solo


@asynccontextmanager
async def running(
    url: str, said: str = "hi", *, model: str = "solo", headers: Mapping[str, str] | None = None, **fields: Any
) -> AsyncIterator[aiohttp.ClientResponse]:
    body = {"threadId": "talk", "runId": "mine", "messages": [{"id": "m", "role": "user", "content": said}], **fields}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/v1/ag-ui/{model}", json=body, headers=headers) as response,
    ):
        yield response


@asynccontextmanager
async def thread_of(
    url: str, thread: str = "talk", headers: Mapping[str, str] | None = None
) -> AsyncIterator[aiohttp.ClientResponse]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{url}/v1/ag-ui/solo/{thread}", headers=headers) as response,
    ):
        yield response


async def connected(url: str, thread: str = "talk", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    async with thread_of(url, thread, headers) as response:
        return response.status, await response.read()


def events_in(stream: bytes) -> list[dict[str, Any]]:
    return [json.loads(line[6:]) for line in stream.decode().splitlines() if line.startswith("data: ")]


async def test_a_thread_is_replayed_with_the_same_bytes(tmp_path: Path) -> None:
    """All of its runs, of which the last one goes on."""
    gate = Gate()
    async with solo(tmp_path, ScriptedAnswer(*WORDS), ScriptedAnswer("one ", gate, "two")) as server:
        async with running(server.url) as response:
            first = await response.read()
        assert response.content_type == "text/event-stream"
        assert await connected(server.url) == (200, first)
        assert await connected(server.url, "other") == (204, b"")
        async with running(server.url, "and?", runId="later") as asked, thread_of(server.url) as replayed:
            second, seen = await asked.content.readuntil(b"one "), await replayed.content.readuntil(b"one ")
            gate.open()
            second, seen = second + await asked.read(), seen + await replayed.read()
    assert seen == first + second
    events = events_in(first)
    assert events[0]["threadId"] == "talk"
    assert events[0]["runId"] == events[-1]["runId"] == "mine"
    assert events[0]["metadata"]["aiostream"]["run_id"] == response.headers["X-Run-Id"]
    assert "".join(event["delta"] for event in events if event["type"] == "TEXT_MESSAGE_CONTENT") == "".join(WORDS)


async def test_a_thread_outlives_its_runs(tmp_path: Path) -> None:
    """What the conversation remembers of runs that are kept no longer comes first, in a run of its own."""
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one"), ScriptedAnswer("two"), ScriptedAnswer("three ", Gate()))
        config = config_for(provider.base_url, sample_team("solo"), limits=LimitsConfig(retention_s=0))
        async with serving(config, tmp_path) as server:
            for said in ("hi", "and?"):
                async with running(server.url, said) as response:
                    await response.read()
                await until_idle(server)
            _, alone = await connected(server.url)
            async with running(server.url, "more?"), thread_of(server.url) as replayed:
                live = await replayed.content.readuntil(b'"three "}\n')
    started, snapshot, finished = events_in(alone)
    assert [each["type"] for each in (started, finished)] == ["RUN_STARTED", "RUN_FINISHED"]
    told = [(message["role"], message["content"]) for message in snapshot["messages"]]
    assert told == [("user", "hi"), ("assistant", "one"), ("user", "and?"), ("assistant", "two")]
    assert live.startswith(alone)
    assert events_in(live)[3]["input"]["messages"] == [{"id": "m", "role": "user", "content": "more?"}]


async def test_the_team_reads_the_state_that_a_page_shares(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("fine"))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            running(server.url, state={"cart": ["Käse"]}) as response,
        ):
            events = events_in(await response.read())
    assert events[1] == {"type": "STATE_SNAPSHOT", "snapshot": {"cart": ["Käse"]}}
    systems = [each["content"] for each in provider.exchanges[0].body["messages"] if each["role"] == "system"]
    assert '{"cart":["Käse"]}' in "".join(systems)


async def test_a_reply_to_an_unknown_interrupt_is_refused(tmp_path: Path) -> None:
    """The team is not asked, neither by an id of another form, nor by that of a run that has asked nothing."""
    async with solo(tmp_path, ScriptedAnswer("one"), ScriptedAnswer("two")) as server:
        async with running(server.url) as response:
            await response.read()
        told = []
        for interrupt in ("x", "run-x-input", f"{response.headers['X-Run-Id']}-input"):
            resume = [{"interruptId": interrupt, "status": "resolved", "payload": "yes"}]
            async with running(server.url, resume=resume) as refused:
                told.append((refused.status, (await refused.json())["error"]["param"]))
    assert told == [(400, "resume[0].interruptId")] * 3


async def test_the_same_input_is_the_same_run(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("one"), ScriptedAnswer("two")) as server:
        streams = []
        for said in ("hi", "hi", "and?"):
            async with running(server.url, said) as response:
                streams.append(await response.read())
            await until_idle(server)
    assert streams[0] == streams[1]
    assert b'"two"' in streams[2]


@pytest.mark.parametrize(("props", "outcome"), [({}, "cancelled"), ({"on_disconnect": "continue"}, "success")])
async def test_a_client_that_leaves_ends_the_run_unless_it_says_otherwise(
    tmp_path: Path, props: dict[str, Any], outcome: str
) -> None:
    gate = Gate()
    async with solo(tmp_path, ScriptedAnswer("one ", gate, "two")) as server:
        async with running(server.url, forwardedProps=props) as response:
            async for line in response.content:
                if b"TEXT_MESSAGE_CONTENT" in line:
                    break
        if props:
            gate.open()
        await until_idle(server)
        _, stream = await connected(server.url)
    assert events_in(stream)[-1]["outcome"]["type"] == outcome


async def test_a_failure_is_run_error(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("so far ", BreakOff())) as server, running(server.url) as response:
        events = events_in(await response.read())
    assert events[-1]["type"] == "RUN_ERROR"
    assert events[-1]["code"] == "model_failed"


async def test_refusals_have_their_status_and_openais_shape(tmp_path: Path) -> None:
    async with keyed(tmp_path, all=None) as (server, keys):
        right, wrong = ({"Authorization": f"Bearer {key}"} for key in (keys["all"], "no"))
        told = []
        for headers, model, fields in (
            (wrong, "general", {}),
            (right, "none", {}),
            (right, "general", {"messages": []}),
            (right, "general", {"threadId": 1}),
        ):
            async with running(server.url, model=model, headers=headers, **fields) as response:
                told.append((response.status, (await response.json())["error"]["param"]))
        assert (await connected(server.url, headers=wrong))[0] == 401
    assert told == [(401, None), (404, "model"), (400, "messages"), (400, "threadId")]


async def test_a_full_server_refuses_with_429(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("one ", Gate()))
        limits = LimitsConfig(max_runs=1, queue_size=0)
        async with (
            serving(config_for(provider.base_url, sample_team("solo"), limits=limits), tmp_path) as server,
            running(server.url),
            running(server.url, "other") as refused,
        ):
            assert refused.status == 429
            assert "Retry-After" in refused.headers
