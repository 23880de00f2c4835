"""`Idempotency-Key`: asked twice, started once; another question under the same key is refused."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.kit.scripted_provider import HttpError, Pause, ScriptedAnswer, Stall
from tests.kit.serving import asking, chat_body
from tests.web.raw import post, send
from tests.web.test_keys import keyed
from tests.web.watching import WORDS, cancel, solo, start_in_background, starting, until_queued

KEY = {"Idempotency-Key": "order-4711"}


async def test_the_same_key_and_body_attach_to_the_run_from_its_beginning(tmp_path: Path) -> None:
    """While it goes on, and when it is over; the second answer says so."""
    async with solo(tmp_path, ScriptedAnswer(*WORDS, pause_s=0.02)) as server:
        async with starting(server.url, "hi", model="solo", headers=KEY) as first:
            await first.until(4)
            async with starting(server.url, "hi", model="solo", headers=KEY) as second:
                await asyncio.gather(first.read_all(), second.read_all())
        async with starting(server.url, "hi", model="solo", headers=KEY) as third:
            await third.read_all()
    assert "Idempotent-Replayed" not in first.response.headers
    for view in (second, third):
        assert view.response.headers["Idempotent-Replayed"] == "true"
        assert view.run_id == first.run_id
        assert view.raw == first.raw
    assert first.text == "".join(WORDS)


async def test_a_chat_completion_asked_twice_is_the_same_text(tmp_path: Path) -> None:
    async with (
        solo(tmp_path, ScriptedAnswer(*WORDS, pause_s=0.02)) as server,
        asking(server.url, "hi", model="solo", headers=KEY) as first,
    ):
        await anext(first.pieces())
        async with asking(server.url, "hi", model="solo", headers=KEY) as second:
            await asyncio.gather(first.read_all(), second.read_all())
    assert second.response.headers["Idempotent-Replayed"] == "true"
    assert second.run_id == first.run_id
    assert "".join(WORDS) in first.text
    assert second.text == first.text
    assert (second.frames[0]["id"], second.frames[0]["created"]) == (first.frames[0]["id"], first.frames[0]["created"])
    assert second.done
    assert second.finish_reasons == ["stop"]


async def test_a_completion_that_is_not_streamed_says_that_it_was_replayed(tmp_path: Path) -> None:
    body = chat_body("hi", model="solo") | {"stream": False}
    async with solo(tmp_path, ScriptedAnswer("hi")) as server, aiohttp.ClientSession() as session:
        answers = []
        for replayed in (None, "true"):
            async with session.post(f"{server.url}/v1/chat/completions", json=body, headers=KEY) as response:
                assert response.headers.get("Idempotent-Replayed") == replayed
                answers.append((await response.json())["choices"])
    assert answers[0] == answers[1]


async def test_in_the_background_too(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        runs = [await start_in_background(server.url, "hi", model="solo", headers=KEY) for _ in range(3)]
        assert len({run["id"] for run in runs}) == 1


async def test_only_what_a_body_says_counts(tmp_path: Path) -> None:
    """Not the order of its keys, nor its spaces, nor whether it came below `/api`."""
    bodies = [
        b'{"model":"solo","messages":[{"role":"user","content":"hi"}]}',
        b' {"messages": [{"content": "h\\u0069", "role": "user"}], "model": "solo"}',
    ]
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        answers = [
            await send(server.url, post(body, "Idempotency-Key: k", path=path))
            for body in bodies
            for path in ("/v1/runs", "/api/v1/runs", "/v1//runs")
        ]
    assert {answer.status for answer in answers} == {200}
    assert len({answer.headers["X-Run-Id"] for answer in answers}) == 1


async def test_another_question_under_the_same_key_is_a_409(tmp_path: Path) -> None:
    """Another body; and the same one on another kind of path."""
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        async with starting(server.url, "hi", model="solo", headers=KEY) as first:
            await first.read_all()
        async with starting(server.url, "ho", model="solo", headers=KEY) as other:
            body = await other.response.json()
            assert other.response.status == 409
            assert body["error"]["code"] == "conflict"
        async with asking(server.url, "hi", model="solo", headers=KEY) as chat:
            assert chat.response.status == 409


async def test_a_key_is_its_callers_own(tmp_path: Path) -> None:
    async with keyed(tmp_path, one=None, two=None) as (server, keys):
        ids = []
        for question, name in (("What is 2+3?", "one"), ("What is 2+4?", "two")):
            headers = KEY | {"Authorization": f"Bearer {keys[name]}"}
            ids.append((await start_in_background(server.url, question, model="general", headers=headers))["id"])
        assert ids[0] != ids[1]


@pytest.mark.parametrize("wrong", ["", "k" * 256, "schl\u00fcssel", "a\tb"])
async def test_a_wrong_key_is_a_400(tmp_path: Path, wrong: str) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        for path in ("/v1/runs", "/v1/chat/completions"):
            answer = await send(server.url, post(chat(), f"Idempotency-Key: {wrong}", path=path))
            assert (answer.status, answer.error["param"]) == (400, "Idempotency-Key")


async def test_two_keys_are_a_400_and_the_longest_is_taken(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        two = await send(server.url, post(chat(), "Idempotency-Key: a", "Idempotency-Key: a", path="/v1/runs"))
        longest = await send(server.url, post(chat(), f"Idempotency-Key: {'~ ' * 127}~", path="/v1/runs"))
    assert (two.status, longest.status) == (400, 200)


def chat() -> bytes:
    return b'{"model":"solo","messages":[{"role":"user","content":"hi"}]}'


async def test_json_as_deep_as_can_be_read_is_an_answer_or_a_400(tmp_path: Path) -> None:
    async with solo(tmp_path, *[ScriptedAnswer("hi")] * 40) as server:
        for depth in range(100, 1100, 50):
            deep = chat()[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"
            answer = await send(server.url, post(deep, f"Idempotency-Key: {depth}", path="/v1/runs"))
            assert answer.status in (200, 400)


async def test_a_refused_asking_is_not_remembered(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("a", Stall()), ScriptedAnswer("hi"), max_runs=1) as server:
        run = await start_in_background(server.url, "other", model="solo")
        async with starting(server.url, "hi", model="solo", headers=KEY) as refused:
            assert refused.response.status == 429
        await cancel(server.url, run["id"])
        async with starting(server.url, "hi", model="solo", headers=KEY) as view:
            assert "Idempotent-Replayed" not in view.response.headers
            await view.read_all()
    assert view.text == "hi"


async def test_a_failed_run_is_what_the_key_stands_for(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(400), ScriptedAnswer("hi")) as server:
        for _ in range(2):
            async with asking(server.url, "hi", model="solo", headers=KEY) as answer:
                await answer.read_all()
            assert [error["code"] for error in answer.errors] == ["model_failed"]


async def test_a_request_that_waits_for_a_starter_that_leaves_the_queue_starts_the_run_itself(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"max_runs": 1, "queue_size": 5, "queue_timeout_s": 20}
    async with solo(tmp_path, ScriptedAnswer("a", Pause(0.5)), ScriptedAnswer("mine"), **limits) as server:
        await start_in_background(server.url, "other", model="solo")

        async def leave_early() -> None:
            async with starting(server.url, "hi", model="solo", headers=KEY):
                pytest.fail("there was no slot")

        first = asyncio.create_task(leave_early())
        await until_queued(server, 1)

        async def stay() -> str:
            async with starting(server.url, "hi", model="solo", headers=KEY) as view:
                return (await view.read_all()).text

        second = asyncio.create_task(stay())
        await asyncio.sleep(0.1)
        first.cancel()
        async with asyncio.timeout(60):
            assert await second == "mine"
