"""What an observer of the server is told, by a real one over real sockets."""

import asyncio
import time
from pathlib import Path

import aiohttp
import pytest
from autogen_core.models import UserMessage

from aiostream_server.config.model import Config, OpenAIModelConfig
from aiostream_server.events import TokenCount
from aiostream_server.models.openai.component import OpenAIChatClient
from aiostream_server.observe.observer import current_observer
from tests.kit.observing import Remembering
from tests.kit.scripted_provider import BreakOff, Call, HttpError, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, chat_body, config_for, sample_team, serving, until_idle
from tests.routing.auxiliary.cases import rendered
from tests.web.bare_client import connected, question, until

NONE = TokenCount()


async def _told_of(path: Path, *script: ScriptedAnswer | HttpError, model: str = "solo") -> Remembering:
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(*script)
        async with serving(config_for(provider.base_url, sample_team("solo")), path, observer) as server:
            await ask(server.url, "hello", model=model)
            await until_idle(server)
    return observer


async def test_a_run_is_told_from_the_request_to_its_end(tmp_path: Path) -> None:
    """In order, each inside of the one before, and nothing of it per token."""
    observer = await _told_of(tmp_path, ScriptedAnswer("a", "b", "c", pause_s=0.01, usage=(5, 3)))
    assert observer.of("request") == [
        ("begun", "POST", "/v1/chat/completions"),
        ("answered", 200),
        ("over", None),
    ]
    assert observer.of("run")[1:] == [
        ("run_started",),
        ("chose", "solo"),
        ("model_called",),
        ("token",),
        ("message",),
        ("usage",),
        ("final",),
        ("run_finished",),
        ("over", None),
    ]
    calls = observer.of("model_call")
    assert calls[0] == ("begun", "default", "scripted", "openai", "Solo", "run")
    assert calls[1:] == [("first_token",), ("ended", TokenCount(5, 3), "stop"), ("over", None)]


async def test_the_run_is_inside_of_its_request(tmp_path: Path) -> None:
    """Context variables that an observer sets reach the run, and those of the run its model calls."""
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("hi"))
        async with (
            serving(config_for(provider.base_url, sample_team("solo")), tmp_path, observer) as server,
            aiohttp.ClientSession(headers={"traceparent": "00-1-2-01"}) as session,
            session.post(f"{server.url}/v1/runs", json=chat_body("x", model="solo")) as response,
        ):
            await response.read()
    assert observer.of("run")[0] == ("begun", "solo", "00-1-2-01")
    assert observer.of("model_call")[0][-1] == "run"


async def test_a_routed_run_is_told_its_team_behind_the_routing(tmp_path: Path) -> None:
    observer = await _told_of(tmp_path, ScriptedAnswer("hi"), model="auto")
    told = observer.of("run")
    assert told[0] == ("begun", "auto", told[0][2])
    assert told.index(("routing",)) < told.index(("chose", "solo"))


async def test_a_refused_call_is_told_with_its_retries(tmp_path: Path) -> None:
    observer = await _told_of(tmp_path, HttpError(429, "busy"), HttpError(400, "wrong"))
    told = observer.of("model_call")
    assert told[1:3] == [("retried", "429"), ("failed", "model_failed", NONE)]
    assert told[3][0] == "over"
    assert ("error",) in observer.of("run")


async def test_a_connection_that_is_lost_before_the_answer_is_told_as_such(tmp_path: Path) -> None:
    observer = Remembering()
    model = OpenAIModelConfig(provider="openai", model="m", base_url="http://127.0.0.1:9/v1", max_retries=1)
    config = Config(models={"default": model}, teams=(sample_team("solo"),))
    async with serving(config, tmp_path, observer) as server:
        await ask(server.url, "hello", model="solo")
    assert observer.of("model_call")[1:3] == [("retried", "connection"), ("failed", "model_failed", NONE)]


async def test_a_call_that_breaks_off_has_cost_what_it_wrote(tmp_path: Path) -> None:
    observer = await _told_of(tmp_path, ScriptedAnswer("a", "b", BreakOff(), pause_s=0.01))
    (failed,) = (facts for facts in observer.of("model_call") if facts[0] == "failed")
    assert failed[1] == "model_failed"
    assert failed[2].completion_tokens == 2
    assert failed[2].prompt_tokens > 0


async def test_a_client_that_leaves_is_told_as_a_cancelled_call(tmp_path: Path) -> None:
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("a", Stall()))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path, observer) as server:
            async with asking(server.url, "hi", model="solo"):
                await (await provider.request()).sent(1)
            await until_idle(server)
    assert observer.of("model_call")[-2][:2] == ("failed", "cancelled")
    assert ("viewer_evicted",) not in observer.told
    assert observer.of("run")[-2:] == [("run_finished",), ("over", None)]


async def test_one_that_does_not_read_is_told_as_evicted(tmp_path: Path) -> None:
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["x" * 4_000] * 3_000))
        config = config_for(provider.base_url, sample_team("solo"), server={"write_timeout_s": 0.3})
        async with serving(config, tmp_path, observer) as server:
            async with connected(server.url, question("solo", path="/v1/chat/completions")):
                await until(lambda: ("viewer_evicted",) in observer.told)
            await until_idle(server)
    assert observer.told.count(("viewer_evicted",)) == 1


async def test_delays_are_those_of_what_the_viewer_was_there_for(tmp_path: Path) -> None:
    """One write in sixteen reports a delay of milliseconds; a replay reports none."""
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(*["word "] * 80, pause_s=0.002))
        async with serving(config_for(provider.base_url, sample_team("solo")), tmp_path, observer) as server:
            started = time.monotonic()
            async with asking(server.url, "hi", model="solo") as answer:
                await answer.read_all()
            assert 1 <= len(observer.delays) <= 6
            assert all(0 <= delay < time.monotonic() - started for delay in observer.delays)
            observer.delays.clear()
            events = f"{server.url}/v1/runs/{answer.run_id}/events"
            async with aiohttp.ClientSession() as session, session.get(events) as response:
                assert response.status == 200
                await response.read()
    assert observer.delays == []


async def test_auxiliary_answers_are_told_with_who_gave_them(tmp_path: Path) -> None:
    observer = Remembering()
    body = rendered("0_12_4 generate_title short").body
    async with (
        serving(config_for("http://127.0.0.1:9/v1"), tmp_path, observer) as server,
        aiohttp.ClientSession() as session,
        session.post(f"{server.url}/v1/chat/completions", json=body) as response,
    ):
        assert response.status == 200
    assert ("auxiliary", "title_generation", "rules") in observer.told
    assert observer.of("run") == []


@pytest.mark.parametrize(
    ("method", "path", "route", "status"),
    [
        ("GET", "/healthz", "/healthz", 200),
        ("GET", "/api/v1/models/none", "/api/v1/models/{model}", 404),
        ("GET", "/v1/nothing/here", "unknown", 404),
        ("DELETE", "/v1/models", "unknown", 405),
        ("POST", "/v1/chat/completions", "/v1/chat/completions", 415),
    ],
)
async def test_every_request_is_told_by_its_pattern_and_what_it_was_answered(
    tmp_path: Path, method: str, path: str, route: str, status: int
) -> None:
    observer = Remembering()
    async with (
        serving(config_for("http://127.0.0.1:9/v1"), tmp_path, observer) as server,
        aiohttp.ClientSession() as session,
        session.request(method, server.url + path) as response,
    ):
        assert response.status == status
    assert observer.told == [
        ("request", "begun", method, route),
        ("request", "answered", status),
        ("request", "over", None),
    ]


async def test_a_teams_own_client_tells_the_observer_of_the_run() -> None:
    """Of a client that stands in a component, no configuration knows: it is called what its model is."""
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer("hi", usage=(1, 1)))
        client = OpenAIChatClient(model="gpt-4o", api_key="k", base_url=provider.base_url)
        token = current_observer.set(observer)
        await client.create([UserMessage(content="hi", source="user")])
        current_observer.reset(token)
        await client.close()
    assert observer.of("model_call")[0] == ("begun", "gpt-4o", "gpt-4o", "openai", None, "nothing")
    assert observer.of("model_call")[2] == ("ended", TokenCount(1, 1), "stop")


async def test_the_tools_that_a_run_uses_are_told(tmp_path: Path) -> None:
    observer = Remembering()
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Call("calculate", {"expression": "2+2"})), ScriptedAnswer("4"))
        async with serving(config_for(provider.base_url), tmp_path, observer) as server:
            await ask(server.url, "What is 2+2?", model="general")
            await asyncio.sleep(0)
    told = observer.of("run")
    assert told.index(("action",)) < told.index(("tool_result",))
