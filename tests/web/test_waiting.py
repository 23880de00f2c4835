"""What a user of a chat page sees while nothing can be said yet: why the run waits, from the first moment."""

from pathlib import Path
from typing import Any

from aiostream_server.events import Event, Waiting
from tests.kit.runs import run_in
from tests.kit.scripted_provider import Gate, HttpError, ScriptedAnswer, ScriptedProvider
from tests.kit.serving import ServedAnswer, Server, ask, asking, config_for, sample_team, serving

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
