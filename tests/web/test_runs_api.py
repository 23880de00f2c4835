"""`/v1/runs`: started, watched by any number, resumed anywhere, cancelled, listed; refused under load."""

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from openai import AsyncOpenAI

from aiostream_server.config.load import load_config
from aiostream_server.config.model import AuthConfig, ServerConfig
from aiostream_server.events import EVENTS
from tests.kit.bare_server import bare_stream
from tests.kit.needs import needs
from tests.kit.scripted_provider import Gate, HttpError, Pause, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, chat_body, config_for, sample_team, serving, until_idle
from tests.web.bare_client import no_longer_than, until
from tests.web.raw import head, send
from tests.web.test_keys import keyed, make_key
from tests.web.watching import (
    WORDS,
    call,
    cancel,
    solo,
    start_in_background,
    starting,
    until_queued,
    watch_all,
    watching,
)

DOCS = (Path(__file__).parents[2] / "docs" / "runs-api.md").read_text("utf-8")
UNKNOWN = f"run-{'x' * 24}"


async def test_a_run_is_its_events_numbered_typed_and_ended(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer(*WORDS)) as server, starting(server.url, "hi", model="solo") as view:
        await view.read_all()
    headers = view.response.headers
    assert view.response.status == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Run-Id"].startswith("run-")
    assert "Idempotent-Replayed" not in headers
    assert view.retry == [b"retry: 1000\n\n"]
    assert view.numbers == list(range(1, len(view.seen) + 1))
    assert (view.kinds[0], view.kinds[-1]) == ("run_started", "run_finished")
    assert view.text == "".join(WORDS)
    assert {event.body["run_id"] for event in view.seen} == {view.run_id}
    assert all({"agent", "content", "type", "timestamp"} <= set(e.body) for e in view.seen if e.kind == "token")
    assert view.seen[-1].body["reason"] == "stop"


@pytest.mark.parametrize("prefix", ["/v1", "/v1/", "/api/v1", "/api/v1/"])
async def test_in_the_background_it_is_told_at_once_where_the_run_is(tmp_path: Path, prefix: str) -> None:
    """Before the model has said anything."""
    gate = Gate()
    async with (
        solo(tmp_path, ScriptedAnswer(gate, "hi")) as server,
        aiohttp.ClientSession(server.url) as session,
    ):
        body = chat_body("hi", model="solo", background=True, conversation="c-7", on_disconnect="cancel")
        async with session.post(f"{prefix}/runs", json=body) as response:
            run = await response.json()
        gate.open()
        assert response.status == 202
        assert response.headers["X-Run-Id"] == run["id"]
        assert response.headers["Location"] == prefix.rstrip("/") + f"/runs/{run['id']}"
        assert run["events_url"] == f"{response.headers['Location']}/events"
        expected = {"object": "run", "status": "running", "conversation": "c-7", "on_disconnect": "cancel"}
        assert expected.items() <= run.items()
        async with session.get(run["events_url"]) as events:
            assert (await events.read()).rstrip().endswith(b"}")
        async with session.get(response.headers["Location"]) as again:
            finished = await again.json()
    assert finished["status"] == "finished"
    assert finished["reason"] == "stop"
    assert finished["usage"]["total_tokens"] == 18
    assert finished["last_seq"] > run["last_seq"]
    assert abs(finished["created_at"] - time.time()) < 10


async def test_whoever_resumes_at_any_number_sees_exactly_the_rest(tmp_path: Path) -> None:
    """By either way of saying it; at the end and past it, nothing: an `EventSource` is told to stop."""
    async with solo(tmp_path, ScriptedAnswer(*WORDS)) as server:
        async with starting(server.url, "hi", model="solo") as first:
            await first.read_all()
        last = first.numbers[-1]
        for after in range(last):
            by_header = await watch_all(server.url, first.run_id, after)
            async with watching(server.url, first.run_id, starting_after=str(after)) as by_query:
                await by_query.read_all()
            assert by_header.raw == by_query.raw == b"".join(event.raw for event in first.seen[after:])
        for after in (last, last + 1, 2**53):
            async with watching(server.url, first.run_id, starting_after=str(after)) as view:
                assert view.response.status == 200
                assert view.response.content_type == "text/event-stream"
                assert await view.response.read() == b""
            async with watching(server.url, first.run_id, headers={"Last-Event-ID": str(after)}) as view:
                assert view.response.status == 204


async def test_resuming_while_tokens_flow_leaves_no_gap_and_repeats_nothing(tmp_path: Path) -> None:
    """A viewer that breaks off after every few events, beside one that stays: the same bytes."""
    words = [f"t{number} " for number in range(40)]
    async with (
        solo(tmp_path, ScriptedAnswer(*words, pause_s=0.02)) as server,
        starting(server.url, "hi", model="solo") as steady,
    ):
        pieced, after = b"", 0
        reading = asyncio.create_task(steady.read_all())
        while not pieced.endswith(b"}\n\n") or b"run_finished" not in pieced:
            async with watching(server.url, steady.run_id, starting_after=str(after)) as view:
                await view.until(after + 3)
            pieced += view.raw
            after = view.numbers[-1]
        await reading
    assert steady.text == "".join(words)
    assert pieced == steady.raw


async def test_past_the_end_of_a_live_run_nothing_comes_before_those_numbers_are_reached(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer(*WORDS, pause_s=0.02)) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        late, whole = await asyncio.gather(watch_all(server.url, run["id"], 9), watch_all(server.url, run["id"]))
        assert late.numbers[0] == 10
        assert late.raw == b"".join(event.raw for event in whole.seen[9:])


async def test_past_the_end_that_a_live_run_will_have_it_just_ends(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("a", Pause(0.2), "b")) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        view = await watch_all(server.url, run["id"], 10_000)
    assert (view.seen, len(view.retry)) == ([], 1)


@pytest.mark.parametrize(
    "wrong", ["-1", "", "1.0", "+1", "0x1", "1_0", "one", str(2**53 + 1), "9" * 5000, "\N{FULLWIDTH DIGIT ONE}", "1,2"]
)
async def test_a_bad_number_is_a_400_that_names_it(tmp_path: Path, wrong: str) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        url = f"{server.url}/v1/runs"
        answers = [
            ("starting_after", await call("GET", f"{url}/{run['id']}/events", params={"starting_after": wrong})),
            ("limit", await call("GET", url, params={"limit": wrong})),
        ]
        if wrong.isascii():
            path = f"GET /v1/runs/{run['id']}/events HTTP/1.1"
            answer = await send(server.url, head(path, f"Last-Event-ID: {wrong}"))
            answers.append(("Last-Event-ID", (answer.status, {"error": answer.error})))
    for name, (status, body) in answers:
        assert status == 400
        assert body["error"]["param"] == name
        assert body["error"]["message"].startswith(name)


async def test_cursors_that_disagree_or_come_twice_are_a_400(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        events = f"{server.url}{run['events_url']}"
        for url, headers in (
            (f"{events}?starting_after=1", {"Last-Event-ID": "2"}),
            (f"{events}?starting_after=0", {"Last-Event-ID": "2"}),
            (f"{events}?starting_after=1&starting_after=1", {}),
        ):
            status, body = await call("GET", url, headers=headers)
            assert (status, body["error"]["param"]) == (400, "starting_after")


async def test_a_run_goes_on_without_viewers_and_by_its_own_wish_does_not(tmp_path: Path) -> None:
    wishes: list[tuple[dict[str, Any], str]] = [
        ({"on_disconnect": "continue"}, "stop"),
        ({"on_disconnect": "cancel"}, "cancelled"),
        ({}, "cancelled"),
    ]
    async with solo(tmp_path, *[ScriptedAnswer("a", Pause(0.3), "b")] * 3, team={"on_disconnect": "cancel"}) as server:
        for asked, reason in wishes:
            async with starting(server.url, "hi", model="solo", **asked) as view:
                await view.until(2)
            await until_idle(server)
            _, run = await call("GET", f"{server.url}/v1/runs/{view.run_id}")
            assert (run["reason"], run["on_disconnect"]) == (reason, asked.get("on_disconnect", "cancel"))


async def test_a_run_that_is_to_be_cancelled_lives_as_long_as_it_is_watched(tmp_path: Path) -> None:
    gate = Gate()
    async with solo(tmp_path, ScriptedAnswer("a", gate, "b")) as server:
        async with starting(server.url, "hi", model="solo", on_disconnect="cancel") as first:
            await first.until(2)
            second = asyncio.create_task(watch_all(server.url, first.run_id))
            await until(lambda: server.state.registry.viewers == 2)
        await until(lambda: server.state.registry.viewers == 1)
        gate.open()
        assert (await second).seen[-1].body["reason"] == "stop"


async def test_watching_a_chat_completions_run(tmp_path: Path) -> None:
    """The same run under both roofs; it is listed, too."""
    async with solo(tmp_path, ScriptedAnswer(*WORDS)) as server:
        answer = await ask(server.url, "hi", model="solo")
        view = await watch_all(server.url, answer.run_id)
        _, listed = await call("GET", f"{server.url}/v1/runs")
    assert view.text == "".join(WORDS)
    assert [(run["id"], run["on_disconnect"]) for run in listed["data"]] == [(answer.run_id, "cancel")]


async def test_runs_are_listed_newest_first_and_no_more_than_asked_for(tmp_path: Path) -> None:
    """Whether they have ended or not."""
    async with solo(tmp_path, ScriptedAnswer(Stall()), *[ScriptedAnswer("hi")] * 24) as server:
        ids = [(await start_in_background(server.url, "hi", model="solo"))["id"]]
        for _ in range(24):
            async with starting(server.url, "hi", model="solo") as view:
                await view.read_all()
            ids.append(view.run_id)
        newest = ids[::-1]
        for query, count in (("", 20), ("?limit=1", 1), ("?limit=100", 25)):
            status, listed = await call("GET", f"{server.url}/v1/runs{query}")
            assert status == 200
            assert listed["object"] == "list"
            assert [run["id"] for run in listed["data"]] == newest[:count]
        for wrong in ("0", "101"):
            assert (await call("GET", f"{server.url}/v1/runs?limit={wrong}"))[0] == 400


async def test_cancelling_ends_the_run_and_twice_is_no_error(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("a", Stall())) as server, starting(server.url, "hi", model="solo") as view:
        await view.until(2)
        first = await cancel(server.url, view.run_id)
        assert (first["status"], first["reason"], first["error"]) == ("finished", "cancelled", None)
        assert await cancel(server.url, view.run_id) == first
        await view.read_all()
        assert view.seen[-1].body["reason"] == "cancelled"
        assert len(server.state.registry) == 0


async def test_cancelling_what_is_over_changes_nothing(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi")) as server:
        async with starting(server.url, "hi", model="solo") as view:
            await view.read_all()
        assert (await cancel(server.url, view.run_id))["reason"] == "stop"


async def test_cancelling_a_run_that_does_not_listen_takes_no_longer_than_2_s(tmp_path: Path) -> None:
    async with (
        ScriptedProvider() as provider,
        serving(config_for(provider.base_url, sample_team("deaf")), tmp_path) as server,
    ):
        run = await start_in_background(server.url, "hi", model="deaf")
        async with no_longer_than(2.5):
            assert (await cancel(server.url, run["id"]))["reason"] == "cancelled"


async def test_what_a_cancel_must_be_called(tmp_path: Path) -> None:
    """No body needs no name; a body is JSON; and a web page's is, too, which it may not send."""
    path = f"POST /v1/runs/{UNKNOWN}/cancel HTTP/1.1"
    page, json, form = "Origin: http://evil.example", "Content-Type: application/json", "Content-Type: text/plain"
    cases = [
        ((), b"", 404),
        ((json,), b"{}", 404),
        ((form,), b"{}", 415),
        ((), b"{}", 415),
        ((page,), b"", 415),
        ((page, form), b"", 415),
        ((page, json), b"", 404),
    ]
    async with solo(tmp_path, ScriptedAnswer("a", Stall())) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        for headers, body, status in cases:
            length = f"Content-Length: {len(body)}"
            unknown = await send(server.url, head(path, length, *headers) + body)
            assert unknown.status == 404, "a page learns nothing of what there is"
            real = path.replace(UNKNOWN, run["id"])
            answer = await send(server.url, head(real, length, *headers) + body)
            assert answer.status == (200 if status == 404 else status), headers
    file = tmp_path / "keys.json"
    key = make_key(file, "all")
    config = load_config(None, {}).model_copy(update={"auth": AuthConfig(keys_file=file)})
    async with (
        serving(config, tmp_path) as server,
        starting(server.url, "What is 2+3?", model="general", headers={"Authorization": f"Bearer {key}"}) as view,
    ):
        real = path.replace(UNKNOWN, view.run_id)
        answer = await send(server.url, head(real, page, f"Authorization: Bearer {key}"))
        assert answer.status == 200, "where there are keys, no page has one"


async def test_unknown_and_foreign_runs_are_404s_that_look_alike(tmp_path: Path) -> None:
    async with keyed(tmp_path, mine=None, other=None) as (server, keys):
        mine, other = ({"Authorization": f"Bearer {keys[name]}"} for name in ("mine", "other"))
        async with starting(server.url, "What is 2+3?", model="general", headers=mine) as view:
            await view.read_all()
        for path, method in (("", "GET"), ("/events", "GET"), ("/cancel", "POST")):
            url = f"{server.url}/v1/runs/{view.run_id}{path}"
            foreign = await call(method, url, headers=other)
            unknown = await call(method, url.replace(view.run_id, UNKNOWN), headers=other)
            assert foreign[0] == unknown[0] == 404
            assert foreign[1]["error"]["message"].replace(view.run_id, UNKNOWN) == unknown[1]["error"]["message"]
            assert (await call(method, url))[0] == 401
        assert (await call("GET", f"{server.url}/v1/runs", headers=other))[1]["data"] == []
        assert len((await call("GET", f"{server.url}/v1/runs", headers=mine))[1]["data"]) == 1


async def test_a_dropped_run_is_a_410(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("hi"), retention_s=0.05) as server:
        async with starting(server.url, "hi", model="solo") as view:
            await view.read_all()
        await asyncio.sleep(0.1)  # past the retention
        for path, method in (("", "GET"), ("/events", "GET"), ("/cancel", "POST")):
            status, body = await call(method, f"{server.url}/v1/runs/{view.run_id}{path}")
            assert (status, body["error"]["code"]) == (410, "run_expired")


async def test_what_a_long_run_dropped_is_said_never_skipped(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer(*["word " * 20] * 200), max_log_bytes=20_000) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        await until_idle(server)
        view = await watch_all(server.url, run["id"], 3)
    gone, *kept = view.seen
    assert gone.kind == "dropped"
    assert gone.body["first"] == 4
    assert [event.number for event in kept] == list(range(gone.number + 1, kept[-1].number + 1))
    assert kept[-1].kind == "run_finished"


async def test_a_failed_run_says_why(tmp_path: Path) -> None:
    async with solo(tmp_path, HttpError(400)) as server, starting(server.url, "hi", model="solo") as view:
        await view.read_all()
        _, run = await call("GET", f"{server.url}/v1/runs/{view.run_id}")
    assert view.kinds[-2:] == ["error", "run_finished"]
    assert run["reason"] == "error"
    assert run["error"] == {"code": view.seen[-2].body["code"], "message": view.seen[-2].body["message"]}


async def test_silence_is_filled_with_comments(tmp_path: Path) -> None:
    async with ScriptedProvider() as provider:
        provider.script(ScriptedAnswer(Pause(0.5), "hi"))
        config = config_for(provider.base_url, sample_team("solo"), server=ServerConfig(heartbeat_s=0.1))
        async with serving(config, tmp_path) as server, starting(server.url, "hi", model="solo") as view:
            await view.read_all()
    assert view.comments >= 3


async def test_the_openai_package_comes_back_after_a_429_and_is_answered(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("a", Pause(0.5), "b"), ScriptedAnswer("second"), max_runs=1) as server:
        run = await start_in_background(server.url, "hi", model="solo")
        async with asking(server.url, "hi", model="solo") as refused:
            body = await refused.response.json()
            assert refused.response.status == 429
            assert int(refused.response.headers["Retry-After"]) >= 1
            assert body["error"].keys() == {"message", "type", "param", "code"}
            assert body["error"]["type"] == "rate_limit_error"
        async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=3) as client:
            answer = await client.chat.completions.create(model="solo", messages=[{"role": "user", "content": "hi"}])
        assert "second" in (answer.choices[0].message.content or "")
        assert (await watch_all(server.url, run["id"])).seen[-1].body["reason"] == "stop"


async def test_under_threefold_overload_every_refusal_is_quick_and_nothing_hangs(tmp_path: Path) -> None:
    """Live runs are left alone: 40 of 60 requests come while 20 runs are live, and each is refused within 50 ms."""
    async with solo(tmp_path, *[ScriptedAnswer("a", Stall())] * 20, max_runs=20) as server:
        runs = [await start_in_background(server.url, "hi", model="solo") for _ in range(20)]
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

            async def ask_once() -> tuple[int, float]:
                asked_at = time.monotonic()
                async with session.post(f"{server.url}/v1/runs", json=chat_body("hi", model="solo")) as response:
                    await response.read()
                return response.status, time.monotonic() - asked_at

            await ask_once()  # a first connection pays for imports
            answers = await asyncio.gather(*(ask_once() for _ in range(40)))
            async with bare_stream() as bare:
                spaced = [await ask_once() for _ in range(40)]
        assert {status for status, _ in (*answers, *spaced)} == {429}
        assert sorted(taken_s for _, taken_s in spaced)[20] < 0.05 + 5 * bare.typical_s
        await asyncio.gather(*(cancel(server.url, run["id"]) for run in runs))
        assert len(server.state.registry) == 0


async def test_whoever_leaves_the_queue_leaves_no_slot_behind(tmp_path: Path) -> None:
    limits: dict[str, Any] = {"max_runs": 1, "queue_size": 5, "queue_timeout_s": 20}
    async with solo(tmp_path, ScriptedAnswer("a", Stall()), ScriptedAnswer("next"), **limits) as server:
        run = await start_in_background(server.url, "hi", model="solo")

        async def wait_in_vain() -> None:
            async with starting(server.url, "hi", model="solo"):
                pytest.fail("there was no slot")

        waiting = [asyncio.create_task(wait_in_vain()) for _ in range(5)]
        await until_queued(server, 5)
        async with starting(server.url, "hi", model="solo") as sixth:
            assert sixth.response.status == 429
        for task in waiting:
            task.cancel()
        await until_queued(server, 0)
        await cancel(server.url, run["id"])
        async with starting(server.url, "hi", model="solo") as view:
            assert view.response.status == 200
            await view.read_all()
        assert view.text == "next"


async def test_who_waits_is_served_when_a_run_ends(tmp_path: Path) -> None:
    script = [ScriptedAnswer("a", Pause(0.2), "b"), ScriptedAnswer("next")]
    async with solo(tmp_path, *script, max_runs=1, queue_size=1) as server:
        await start_in_background(server.url, "hi", model="solo")
        async with starting(server.url, "hi", model="solo") as view:
            await view.read_all()
    assert view.text == "next"


async def test_head_of_the_events_is_not_a_way_to_wait(tmp_path: Path) -> None:
    async with solo(tmp_path, ScriptedAnswer("a", Stall())) as server, aiohttp.ClientSession() as session:
        run = await start_in_background(server.url, "hi", model="solo")
        async with asyncio.timeout(30), session.head(f"{server.url}{run['events_url']}") as response:
            assert response.status == 405


@needs("curl")
async def test_the_manuals_commands_do_what_it_says(tmp_path: Path) -> None:
    commands = re.findall(r"^```sh\n(.*?)^```", DOCS, re.DOTALL | re.MULTILINE)
    expected = [
        (
            r"\Aretry: 1000\n\nevent: run_started\nid: 1\n",
            r"127\.5",
            r"event: run_finished\nid: \d+\ndata: \{.*\}\n\n\Z",
        ),
        (r'"object": "run"', r'"conversation": "report-7"'),
        (r'"object": "run"',),
        (r'"object": "list"', r"run-"),
        (r"id: 3\n", r"run_finished"),
        (r"id: 3\n", r"run_finished"),
        (r'"status": "finished"',),
        (r"127\.5", r"run_finished"),
    ]
    run_id = ""
    async with serving(load_config(None, {}), tmp_path) as server:
        for command, patterns in zip(commands, expected, strict=True):
            out = await shell(command.replace("http://127.0.0.1:8000", server.url).replace("$RUN", run_id))
            assert all(re.search(pattern, out) for pattern in patterns), (command, out)
            found = re.search(r'"id": "(run-[\w-]+)"', out)
            run_id = found[1] if found else run_id


async def shell(command: str) -> str:
    process = await asyncio.create_subprocess_exec("bash", "-c", command, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert process.returncode == 0
    return out.decode()


def test_the_manual_names_every_event() -> None:
    table = DOCS.partition("| event | what it tells |")[2].partition("\n\n")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == set(EVENTS)
