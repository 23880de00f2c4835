"""What clients get when a run fails: a status that tells what to do, and no reason to run the team again."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from aiostream_server.config.model import Config, OpenAIModelConfig, ServerConfig
from tests.kit.scripted_provider import BreakOff, Gate, HttpError, Reply, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import Server, ask, asking, chat_body, sample_team, serving
from tests.kit.waiting import wait_for
from tests.web.raw import post

TOO_LONG = HttpError(400, {"error": {"message": "maximum context length", "code": "context_length_exceeded"}})
OPEN_WEBUI = {"X-OpenWebUI-User-Id": "u1", "X-OpenWebUI-Chat-Id": "c1"}


@asynccontextmanager
async def solo(
    tmp_path: Path, *replies: Reply, max_retries: int = 0, **settings: Any
) -> AsyncIterator[tuple[Server, ScriptedProvider]]:
    """A team of one agent; `settings` are those of `[server]`."""
    async with ScriptedProvider() as provider:
        provider.script(*replies)
        model = OpenAIModelConfig(
            provider="openai", model="m", base_url=provider.base_url, max_retries=max_retries, idle_timeout_s=1.0
        )
        config = Config(models={"default": model}, teams=(sample_team("solo"),), server=ServerConfig(**settings))
        async with serving(config, tmp_path) as server:
            yield server, provider


async def whole(
    server: Server, question: str = "hi", headers: Mapping[str, str] | None = None
) -> tuple[int, Mapping[str, str], Any]:
    """Ask without a stream, as a client that repeats nothing by itself."""
    body = chat_body(question, model="solo", stream=False)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        return response.status, response.headers, await response.json()


@pytest.mark.parametrize(
    ("reply", "status", "code", "retry_after"),
    [
        (TOO_LONG, 400, "context_length_exceeded", None),
        (HttpError(429, "slow down", {"Retry-After": "60"}), 429, "rate_limit_exceeded", "60"),
        (HttpError(429, "slow down", {"Retry-After-Ms": "1500"}), 429, "rate_limit_exceeded", "2"),
        (HttpError(429, "slow down"), 429, "rate_limit_exceeded", None),
        (HttpError(429, {"error": {"message": "no", "code": "insufficient_quota"}}), 429, "insufficient_quota", None),
        (HttpError(402, {"error": {"message": "Insufficient Balance"}}), 429, "insufficient_quota", None),
        (HttpError(401, {"error": {"message": "bad key"}}), 502, "provider_refused", None),
        (HttpError(403), 502, "provider_refused", None),
        (HttpError(404), 502, "model_failed", None),
        (HttpError(500), 502, "model_failed", None),
        (HttpError(503, "overloaded", {"Retry-After": "7"}), 503, "model_overloaded", "7"),
        (HttpError(504), 504, "model_timeout", None),
        (ScriptedAnswer(Stall()), 504, "model_timeout", None),
        (ScriptedAnswer("a", BreakOff()), 502, "model_failed", None),
    ],
)
async def test_a_failure_has_its_status_and_names_the_model(
    tmp_path: Path, reply: Reply, status: int, code: str, retry_after: str | None
) -> None:
    async with solo(tmp_path, reply) as (server, _):
        found, headers, body = await whole(server)
    assert (found, body["error"]["code"]) == (status, code)
    assert headers.get("Retry-After") == retry_after
    assert headers["x-should-retry"] == "false"
    assert headers["X-Run-Id"].startswith("run-")
    assert "[models.default]" in body["error"]["message"]
    assert "127.0.0.1" not in body["error"]["message"]


@pytest.mark.parametrize(
    ("reply", "calls", "error"),
    [
        (HttpError(500), 3, openai.InternalServerError),
        (HttpError(429), 3, openai.RateLimitError),
        (HttpError(401), 1, openai.InternalServerError),
        (TOO_LONG, 1, openai.BadRequestError),
    ],
)
async def test_the_openai_package_costs_no_more_than_our_own_tries(
    tmp_path: Path, reply: HttpError, calls: int, error: type[openai.APIStatusError]
) -> None:
    """It repeats every 5xx and 429 twice, unless it is told not to."""
    async with (
        solo(tmp_path, *[reply] * 9, max_retries=2) as (server, provider),
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=2) as client,
    ):
        with pytest.raises(error):
            await client.chat.completions.create(model="solo", messages=[{"role": "user", "content": "hi"}])
        assert len(provider.exchanges) == calls


async def test_what_may_pass_by_itself_may_be_repeated(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer(Stall())) as (server, _):
        await server.state.registry.close()
        status, headers, body = await whole(server)
    assert (status, body["error"]["code"]) == (503, "shutting_down")
    assert headers["Retry-After"] == "1"
    assert "x-should-retry" not in headers


async def test_a_client_that_repeats_whatever_it_is_told_gets_the_same_answer_without_a_run(tmp_path: Path) -> None:
    """As the AI SDK does. Another question is a run of its own."""
    async with solo(tmp_path, *[HttpError(500)] * 3, TOO_LONG) as (server, provider):
        answers = [await whole(server) for _ in range(3)]
        assert len(provider.exchanges) == 1
        assert len({headers["X-Run-Id"] for _, headers, _ in answers}) == 1
        assert [headers.get("Idempotent-Replayed") for _, headers, _ in answers] == [None, "true", "true"]
        assert len({json.dumps(body) for *_, body in answers}) == 1
        assert {headers["x-should-retry"] for _, headers, _ in answers} == {"false"}
        await whole(server, "ho")
        assert len(provider.exchanges) == 2


async def test_a_stream_that_is_asked_for_again_is_the_same_stream(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(401), ScriptedAnswer("hi")) as (server, provider):
        first, second = [await ask(server.url, "hi", model="solo") for _ in range(2)]
        assert first.frames == second.frames
        assert second.response.headers["Idempotent-Replayed"] == "true"
        assert len(provider.exchanges) == 1


async def test_a_failure_that_may_pass_is_not_remembered(tmp_path: Path) -> None:
    """The user presses Regenerate."""
    async with solo(tmp_path, ScriptedAnswer("a", BreakOff()), ScriptedAnswer("hi")) as (server, _):
        assert (await whole(server))[0] == 502
        status, headers, _ = await whole(server)
    assert status == 200
    assert "Idempotent-Replayed" not in headers


async def test_a_failure_is_forgotten_after_its_time(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(401), ScriptedAnswer("hi"), failure_memory_s=0.05) as (server, _):
        assert (await whole(server))[0] == 502
        await asyncio.sleep(0.06)
        assert (await whole(server))[0] == 200


async def test_nothing_is_remembered_where_that_is_off(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(401), ScriptedAnswer("hi"), failure_memory_s=0) as (server, _):
        assert [(await whole(server))[0] for _ in range(2)] == [502, 200]


async def test_once_a_rate_limit_has_passed_the_question_is_asked_again(tmp_path: Path) -> None:
    limited = HttpError(429, "slow down", {"Retry-After-Ms": "100"})
    async with solo(tmp_path, limited, ScriptedAnswer("hi"), failure_memory_s=60) as (server, _):
        assert (await whole(server))[0] == 429
        await asyncio.sleep(0.11)
        assert (await whole(server))[0] == 200


async def test_the_wait_of_a_repeated_question_is_what_is_left(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(429, "slow down", {"Retry-After": "60"})) as (server, _):
        started = time.monotonic()
        await whole(server)
        await asyncio.sleep(1)
        _, headers, _ = await whole(server)
        assert 60 - (time.monotonic() - started) - 1 <= int(headers["Retry-After"]) < 60


async def test_failures_are_their_callers_own(tmp_path: Path) -> None:
    """Also with an `Idempotency-Key`, which asks for a run of its own."""
    async with solo(tmp_path, HttpError(401), HttpError(401), ScriptedAnswer("hi")) as (server, _):
        await whole(server)
        status, headers, _ = await whole(server, headers={"X-User-ID": "somebody"})
        assert (status, headers.get("Idempotent-Replayed")) == (502, None)
        assert (await whole(server, headers={"Idempotency-Key": "k"}))[0] == 200


async def test_another_configuration_forgets_all_failures(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(401), ScriptedAnswer("hi")) as (server, _):
        await whole(server)
        server.state.registry.renew(server.state.state.resources)
        assert (await whole(server))[0] == 200


async def test_a_failed_stream_ends_with_an_error_in_its_last_chunk(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("so far", BreakOff())) as (server, _):
        answer = await ask(server.url, "hi", model="solo", stream_options={"include_usage": True})
    *_, usage, last = answer.frames
    assert usage["choices"] == []
    assert usage["usage"]["total_tokens"]
    assert last["choices"] == [{"index": 0, "delta": {"content": ""}, "finish_reason": "error"}]
    assert last["error"]["code"] == "model_failed"
    assert last["id"] == usage["id"]
    assert answer.errors == [last["error"]]
    assert answer.finish_reasons == ["error"]
    assert answer.text.endswith(f"❌ {last['error']['message']}")  # for clients that show only text
    assert answer.done


async def test_the_openai_package_raises_on_a_failed_stream(tmp_path: Path) -> None:
    async with (
        solo(tmp_path, ScriptedAnswer("so far", BreakOff())) as (server, _),
        AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none") as client,
    ):
        stream = await client.chat.completions.create(
            model="solo", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        assert (await anext(stream)).choices[0].delta.role == "assistant"
        assert "so far" in ((await anext(stream)).choices[0].delta.content or "")
        with pytest.raises(openai.APIError, match="broke off"):
            _ = [chunk async for chunk in stream]


async def test_open_webui_gets_the_error_in_the_only_frame_where_it_sees_it(tmp_path: Path) -> None:
    """Its middleware reads `error` only of frames without `choices` (0.6.36 and 0.12.4)."""
    async with (
        solo(tmp_path, ScriptedAnswer("so far", BreakOff())) as (server, _),
        asking(server.url, "hi", model="solo", headers=OPEN_WEBUI) as answer,
    ):
        await answer.read_all()
    (alone,) = [frame for frame in answer.frames if "error" in frame and "choices" not in frame]
    assert alone["error"]["code"] == "model_failed"
    assert "❌" not in answer.text  # the page shows the error itself
    assert answer.finish_reasons == ["error"]
    assert answer.done


async def test_a_stream_that_is_interrupted_does_not_look_whole(tmp_path: Path) -> None:
    async with (
        solo(tmp_path, ScriptedAnswer("half", Stall())) as (server, _),
        asking(server.url, "hi", model="solo") as answer,
    ):
        await anext(answer.pieces())
        await server.state.registry.close()
        await answer.read_all()
    assert answer.finish_reasons == ["error"]
    assert [error["code"] for error in answer.errors] == ["shutting_down"]


@pytest.mark.parametrize("goes_well", [True, False])
async def test_a_long_silent_answer_keeps_its_connection(tmp_path: Path, goes_well: bool) -> None:
    """The headers and white space come long before the answer; an error is then a body in OpenAI's shape."""
    gate = Gate()
    body = chat_body("hi", model="solo", stream=False)
    async with (
        solo(tmp_path, ScriptedAnswer(gate, "done" if goes_well else BreakOff()), whole_heartbeat_s=0.05) as (
            server,
            _,
        ),
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body) as response,
    ):
        assert response.status == 200
        assert response.content_type == "application/json"
        first = await response.content.readexactly(3)
        gate.open()
        answer = json.loads(first + await response.read())
    assert first == b"   "
    if goes_well:
        assert answer["choices"][0]["message"]["content"].endswith("done")
    else:
        assert answer["error"]["code"] == "model_failed"


async def test_a_client_that_leaves_a_silent_answer_ends_its_run(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer(Stall()), whole_heartbeat_s=0.05) as (server, provider):
        _, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
        body = json.dumps(chat_body("hi", model="solo", stream=False)).encode()
        writer.write(post(body))
        await provider.request()
        writer.transport.abort()
        await wait_for(lambda: not len(server.state.registry), "the run ends")
