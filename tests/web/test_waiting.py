"""What a user of a chat page sees while nothing can be said yet: why the run waits, from the first moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from aiostream_server.config.model import LimitsConfig
from aiostream_server.events import Event, Waiting
from tests.kit.runs import run_in
from tests.kit.scripted_provider import Gate, HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import (
    ServedAnswer,
    Server,
    ask,
    asking,
    chat_body,
    config_for,
    sample_team,
    serving,
    until_idle,
)
from tests.kit.waiting import wait_for

PAGE = {"X-OpenWebUI-Chat-Id": "chat", "X-OpenWebUI-User-Id": "ann"}
BUSY = HttpError(429, "slow down", {"Retry-After": "1"})


def statuses(answer: ServedAnswer) -> list[str]:
    events: list[dict[str, Any]] = [frame["event"] for frame in answer.frames if "event" in frame]
    return [event["data"]["description"] for event in events if event["type"] == "status"]


def waits(server: Server, run_id: str) -> list[Event]:
    log = run_in(server.state.registry, run_id).log
    return [entry.event for entry in log.since(0) if isinstance(entry.event, Waiting)]


async def test_a_busy_model_is_told_to_a_page_and_to_no_other_client(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(BUSY, ScriptedAnswer("hi"), BUSY, ScriptedAnswer("hi"))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server:
            shown = await ask(server.url, "hello", model="solo", headers=PAGE)
            plain = await ask(server.url, "hello", model="solo")
            assert statuses(shown)[1].startswith("The model is busy, trying again in ")
            assert shown.text.endswith("hi")
            assert (statuses(plain), plain.text) == ([], shown.text)
            (waiting,) = waits(server, plain.run_id)
            assert isinstance(waiting, Waiting)
            assert waiting.reason == "model"
            assert waiting.retry_in_s is not None
            assert waiting.retry_in_s > 1


async def test_a_second_question_in_a_chat_says_that_it_waits_for_the_first(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        gate = Gate()
        provider.script(ScriptedAnswer(gate, "one"), ScriptedAnswer("two"))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path) as server,
            asking(server.url, "first", model="solo", headers=PAGE) as first,
        ):
            await provider.request()
            async with asking(server.url, "second", model="solo", headers=PAGE) as second:
                async for _ in second.stream():
                    if statuses(second)[-1:] == ["Waiting for your earlier question to be answered"]:
                        gate.open()
                await first.read_all()
            assert statuses(second)[2] == "Asking solo…"
            assert second.text.endswith("two")


async def test_a_tool_that_takes_long_is_shown_before_its_result_and_with_its_time(tmp_path: Path) -> None:
    config = config_for("http://127.0.0.1:9/v1", sample_team("hanging"))
    async with (
        serving(config, tmp_path) as server,
        asking(server.url, "hello", model="hanging", headers=PAGE) as answer,
    ):
        async for _ in answer.stream():
            if statuses(answer)[-1:] == ["Slow · wait · 3 s"] and "<details>" in answer.text:
                break
        assert statuses(answer)[2:] == ["Slow · wait…", "Slow · wait · 3 s"]
        assert "<details>\n<summary>⚡ wait</summary>" in answer.text


@asynccontextmanager
async def busy(tmp_path: Path, **limits: Any) -> AsyncIterator[tuple[Server, Gate]]:
    """A server with one slot, which a run holds until the gate is opened."""
    gate = Gate()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(gate, "one"), *[ScriptedAnswer("more")] * 3)
        config = config_for(provider.base_url, sample_team("solo"), limits=LimitsConfig(max_runs=1, **limits))
        async with serving(config, tmp_path) as server, asking(server.url, "first", model="solo") as first:
            await provider.request()
            yield server, gate
            gate.open()
            await first.read_all()
            await until_idle(server)


def page_of(user: str) -> dict[str, str]:
    return {"X-OpenWebUI-Chat-Id": f"chat of {user}", "X-OpenWebUI-User-Id": user}


async def test_a_page_is_told_its_place_in_the_queue(tmp_path: Path) -> None:
    async with busy(tmp_path, queue_size=5, queue_timeout_s=60) as (server, gate):
        async with (
            asking(server.url, "hello", model="solo", headers=page_of("ann")) as ann,
            asking(server.url, "hello", model="solo", headers=page_of("ben")) as ben,
        ):
            assert (ann.response.status, ben.response.status) == (200, 200)
            async for _ in ben.stream():
                if statuses(ben)[-1:] == ["2nd in the queue"]:
                    gate.open()
            await ann.read_all()
        assert statuses(ann)[:3] == ["Asking solo…", "1st in the queue", "Asking solo…"]
        assert statuses(ben)[1:4] == ["2nd in the queue", "1st in the queue", "Asking solo…"]
        assert (ann.finish_reasons, ben.finish_reasons) == (["stop"], ["stop"])


async def test_stop_leaves_the_queue(tmp_path: Path) -> None:
    async with busy(tmp_path, queue_size=5, queue_timeout_s=60) as (server, _):
        async with asking(server.url, "hello", model="solo", headers=page_of("ann")) as ann:
            async for _ in ann.stream():
                if statuses(ann)[-1:] == ["1st in the queue"]:
                    break
        await wait_for(lambda: server.state.registry.queued == 0, "the queue is empty")


async def test_a_page_that_waits_too_long_is_told_so_and_other_clients_get_their_429(tmp_path: Path) -> None:
    async with (
        busy(tmp_path, queue_size=5, queue_timeout_s=0.3) as (server, _),
        aiohttp.ClientSession() as session,
    ):
        shown, plain = await asyncio.gather(
            ask(server.url, "hello", model="solo", headers=page_of("ann")),
            session.post(f"{server.url}/v1/chat/completions", json=chat_body("hello", model="solo")),
        )
        assert [error["message"] for error in shown.errors] == ["One run is still going on; try again in a moment."]
        assert shown.finish_reasons == ["error"]
        assert statuses(shown)[-1].startswith("Failed after ")
        assert plain.status == 429


async def test_a_full_queue_refuses_a_page_before_the_headers(tmp_path: Path) -> None:
    body = chat_body("hello", model="solo")
    async with (
        busy(tmp_path) as (server, _),
        aiohttp.ClientSession(headers=page_of("ann")) as session,
        session.post(f"{server.url}/v1/chat/completions", json=body) as answer,
    ):
        assert answer.status == 429


async def test_a_user_at_their_own_limit_is_told_so_without_a_place(tmp_path: Path) -> None:
    gate = Gate()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(gate, "one"), ScriptedAnswer("two"))
        limits = LimitsConfig(max_runs_per_user=1, queue_size=1)
        config = config_for(provider.base_url, sample_team("solo"), limits=limits)
        async with (
            serving(config, tmp_path) as server,
            asking(server.url, "first", model="solo", headers=page_of("ann")) as first,
        ):
            await provider.request()
            headers = page_of("ann") | {"X-OpenWebUI-Chat-Id": "another"}
            async with asking(server.url, "second", model="solo", headers=headers) as second:
                async for _ in second.stream():
                    if statuses(second)[-1:] == ["Waiting for another run to end"]:
                        gate.open()
                await first.read_all()
            assert second.text.endswith("two")
