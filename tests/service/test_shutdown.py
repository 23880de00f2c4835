"""SIGTERM: no accepted request is cut off, and no run delays the end of the process past its time."""

import asyncio
import signal
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import pytest

from tests.kit.process import ServerProcess
from tests.kit.scripted_provider import Call, Gate, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.serving import ask, asking, chat_body
from tests.kit.waiting import wait_for
from tests.service.stopping import (
    NOISE_S,
    connected,
    read_events,
    seconds_to_end,
    stoppable,
    until_read,
    until_ready_says,
    until_refused,
)
from tests.service.teams import until_begun
from tests.web.raw import HELLO, parse, post

HOLDING = ["deaf", "deaf-for-ever", "sync-tool"]


def stop(server: ServerProcess) -> float:
    server.process.send_signal(signal.SIGTERM)
    return time.monotonic()


async def test_runs_may_finish_and_heartbeats_go_on(tmp_path: Path, provider: ScriptedProvider) -> None:
    gate = Gate()
    provider.script(ScriptedAnswer("a ", gate, "b"))
    async with (
        stoppable(tmp_path, provider, drain_s=120, heartbeat_s=0.1) as server,
        asking(server.url, "hi", model="solo") as answer,
    ):
        await anext(answer.pieces())
        stop(server)
        await until_refused(server)
        before = answer.comments
        reading = asyncio.create_task(answer.read_all())
        await wait_for(lambda: answer.comments >= before + 3, "heartbeats while the server drains")
        gate.open()
        await reading
        assert await server.end() == 0
    assert "a b" in answer.text
    assert answer.done
    assert [line["outcome"] for line in server.named("run_finished")] == ["stop"]


async def test_runs_without_a_viewer_may_finish_too(tmp_path: Path, provider: ScriptedProvider) -> None:
    gate = Gate()
    provider.script(ScriptedAnswer("a ", gate, "b"))
    async with stoppable(tmp_path, provider, drain_s=120) as server, aiohttp.ClientSession() as session:
        body = chat_body("hi", model="solo", background=True)
        async with session.post(f"{server.url}/v1/runs", json=body) as response:
            assert response.status == 202
        await (await provider.request()).sent(1)
        stop(server)
        await until_refused(server)
        gate.open()
        assert await server.end() == 0
    assert [line["outcome"] for line in server.named("run_finished")] == ["stop"]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_after_the_deadline_every_stream_is_written_to_its_end(
    tmp_path: Path, provider: ScriptedProvider, loop: str
) -> None:
    """30 streams, of both kinds. A busy machine has a second for all of them."""
    provider.script(lambda _: ScriptedAnswer("a ", Stall()))
    async with stoppable(tmp_path, provider, loop=loop, drain_s=0.3) as server, AsyncExitStack() as stack:
        chats = [await stack.enter_async_context(asking(server.url, "hi", model="solo")) for _ in range(15)]
        session = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
        posts = [session.post(f"{server.url}/v1/runs", json=chat_body("hi", model="solo")) for _ in range(15)]
        typed = [await stack.enter_async_context(post) for post in posts]
        await (await provider.request(len(chats) + len(typed))).sent(1)
        stopped_at = stop(server)
        await asyncio.gather(*(chat.read_all() for chat in chats))
        told = await asyncio.gather(*map(read_events, typed))
        assert 0.3 <= await seconds_to_end(server, since=stopped_at) < 1.3 + NOISE_S
    assert all(chat.done and chat.finish_reasons == ["error"] for chat in chats)
    assert {(events[-1]["type"], events[-1]["reason"]) for events in told} == {("run_finished", "interrupted")}
    assert [events[-1]["seq"] for events in told] == [len(events) for events in told]
    assert [line["outcome"] for line in server.named("run_finished")] == ["interrupted"] * 30


async def test_an_idle_server_ends_at_once_and_kept_alive_connections_do_not_delay_it(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    async with stoppable(tmp_path, provider, drain_s=20) as server, aiohttp.ClientSession() as session:
        async with session.get(f"{server.url}/healthz") as response:
            await response.read()
        async with connected(server) as (reader, _):  # not one byte
            assert await seconds_to_end(server, since=stop(server)) < NOISE_S
            assert await reader.read() == b""


async def test_a_lame_duck_answers_everything(tmp_path: Path, provider: ScriptedProvider) -> None:
    """`/readyz` tells load balancers to use other servers."""
    provider.script(ScriptedAnswer("hello"))
    async with stoppable(tmp_path, provider, lame_duck_s=600.0) as server, aiohttp.ClientSession() as session:
        stop(server)

        async def status_when_stopping() -> int | None:
            async with session.get(f"{server.url}/readyz") as response:
                return response.status if (await response.json())["status"] == "lame_duck" else None

        assert await wait_for(status_when_stopping, "a lame duck at /readyz") == 503
        answer = await ask(server.url, "hi", model="solo")  # on a connection of its own
        assert answer.done
        assert "hello" in answer.text
        stop(server)
        assert await server.end() == 130


async def test_a_lame_duck_lasts_for_its_time(tmp_path: Path, provider: ScriptedProvider) -> None:
    async with stoppable(tmp_path, provider, lame_duck_s=1.0, drain_s=20) as server:
        assert 1.0 <= await seconds_to_end(server, since=stop(server)) < 1.0 + NOISE_S


async def test_a_draining_server_refuses_new_runs_on_old_connections_and_closes_them(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    provider.script(ScriptedAnswer("a ", Stall()))
    async with (
        stoppable(tmp_path, provider, drain_s=20) as server,
        asking(server.url, "hi", model="solo") as answer,
        connected(server) as asker,
        connected(server) as prober,
    ):
        await anext(answer.pieces())
        for _, writer in (asker, prober):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await asyncio.gather(*(reader.readuntil(b"\r\n\r\n") for reader, _ in (asker, prober)))
        stop(server)
        await until_refused(server)
        asker[1].write(post().replace(b"Connection: close\r\n", b""))
        prober[1].write(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        refused = parse((await asker[0].read()).removeprefix(b'{"status": "ok"}'))
        ready = parse((await prober[0].read()).removeprefix(b'{"status": "ok"}'))
        assert (refused.status, refused.error["code"]) == (503, "shutting_down")
        assert (refused.headers["Connection"], refused.headers["Retry-After"]) == ("close", "1")
        assert (ready.status, ready.headers["Connection"]) == (503, "close")
        assert b'"draining"' in ready.body
        stop(server)
        assert await server.end() == 130


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_connections_that_wait_to_be_accepted_are_answered(
    tmp_path: Path, provider: ScriptedProvider, loop: str, workers: int
) -> None:
    """A busy event loop is behind its clients: closing the socket would reset them."""
    async with (
        stoppable(tmp_path, provider, loop=loop, drain_s=20, workers=workers) as server,
        AsyncExitStack() as stack,
    ):
        for _ in range(workers):
            await stack.enter_async_context(asking(server.url, "hi", model="blocking-for-a-while"))
        await until_begun("blocking", tmp_path)
        clients = [await stack.enter_async_context(connected(server)) for _ in range(30)]
        for _, writer in clients:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stop(server)
        answers = [parse(await reader.read()) for reader, _ in clients]
        assert [answer.status for answer in answers] == [200] * 30
        assert await server.end() == 0


async def test_a_body_that_is_on_its_way_is_read_and_answered(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("served"))
    request = post(HELLO.replace(b"general", b"solo"))
    async with stoppable(tmp_path, provider, drain_s=20) as server, connected(server) as (reader, writer):
        writer.write(request[:-10])
        await writer.drain()
        await until_read(server)
        stopped_at = stop(server)
        await until_refused(server)
        writer.write(request[-10:])
        answer = parse(await reader.read())
        assert await seconds_to_end(server, since=stopped_at) < NOISE_S
    assert answer.status == 200
    assert b"served" in answer.body
    assert answer.headers["Connection"] == "close"


@pytest.mark.parametrize(("drain_s", "after_s"), [(20.0, 2.0), (0.3, 0.3)])
async def test_a_body_that_does_not_end_is_waited_for_two_seconds_and_never_past_the_deadline(
    tmp_path: Path, provider: ScriptedProvider, drain_s: float, after_s: float
) -> None:
    async with stoppable(tmp_path, provider, drain_s=drain_s) as server, connected(server) as (reader, writer):
        writer.write(post()[:-10])
        await until_read(server)
        stopped_at = stop(server)
        answer = parse(await reader.read())
        assert after_s <= await seconds_to_end(server, since=stopped_at) < after_s + NOISE_S
    assert bool(server.named("drain_cut_short")) is (drain_s < after_s + 0.1)
    assert (answer.status, answer.error["code"]) == (503, "shutting_down")


async def test_queued_requests_are_served(tmp_path: Path, provider: ScriptedProvider) -> None:
    gate = Gate()
    provider.script(lambda _: ScriptedAnswer("a ", gate, "b"))
    limits = "max_runs = 1\nqueue_size = 5\nqueue_timeout_s = 600.0"
    async with stoppable(tmp_path, provider, drain_s=20, limits=limits) as server:
        asked = [asyncio.create_task(ask(server.url, "hi", model="solo")) for _ in range(2)]
        await provider.request()
        await until_ready_says(server, queued=1)
        stopped_at = stop(server)
        await until_refused(server)
        gate.open()
        answers = await asyncio.gather(*asked)
        assert await seconds_to_end(server, since=stopped_at) < 20
    assert all(answer.done and "a b" in answer.text for answer in answers)


async def test_a_client_that_reads_slowly_gets_all_of_it(tmp_path: Path, provider: ScriptedProvider) -> None:
    """Its run is over long before the last bytes of it have left the process."""
    provider.script(ScriptedAnswer(*["x" * 1000] * 3000))
    async with stoppable(tmp_path, provider, drain_s=20) as server, connected(server) as (reader, writer):
        body = HELLO.replace(b'"general"', b'"solo","stream":true')
        writer.write(post(body))
        await (await provider.request()).sent(100)
        stopped_at = stop(server)
        received = b""
        while piece := await reader.read(32768):
            received += piece
            await asyncio.sleep(0.01)
        await seconds_to_end(server, since=stopped_at)
    assert received.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize(
    ("loop", "teams"),
    [("uvloop", [team]) for team in HOLDING] + [("asyncio", HOLDING)],
    ids=[f"uvloop-{team}" for team in HOLDING] + ["asyncio-all"],
)
async def test_no_run_can_hold_the_process_for_longer_than_a_second_after_the_deadline(
    tmp_path: Path, provider: ScriptedProvider, loop: str, teams: Sequence[str]
) -> None:
    """Its stream is well-formed to its end."""
    provider.script(ScriptedAnswer(Call("slow")))
    async with stoppable(tmp_path, provider, loop=loop, drain_s=0.5) as server, AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(asking(server.url, "hi", model=team)) for team in teams]
        await until_ready_says(server, live_runs=len(teams))
        stopped_at = stop(server)
        await asyncio.gather(*(answer.read_all() for answer in answers))
        assert 0.5 <= await seconds_to_end(server, since=stopped_at) < 1.5 + NOISE_S
    assert all(answer.done and answer.finish_reasons == ["error"] for answer in answers)


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_blocked_event_loop_cannot_hold_the_process_either(
    tmp_path: Path, provider: ScriptedProvider, loop: str
) -> None:
    async with (
        stoppable(tmp_path, provider, loop=loop, drain_s=0.5) as server,
        asking(server.url, "hi", model="blocking"),
    ):
        await until_begun("blocking", tmp_path)
        assert 1.5 <= await seconds_to_end(server, since=stop(server)) < 1.5 + NOISE_S


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
async def test_a_second_signal_ends_a_blocked_process_at_once(
    tmp_path: Path, provider: ScriptedProvider, loop: str
) -> None:
    async with (
        stoppable(tmp_path, provider, loop=loop, drain_s=20) as server,
        asking(server.url, "hi", model="blocking"),
    ):
        await until_begun("blocking", tmp_path)
        stopped_at = stop(server)
        while server.process.returncode is None:  # the second signal must come after the first was handled
            await asyncio.sleep(0.1)
            if server.process.returncode is None:
                stop(server)
        assert await server.end() == 130
        assert time.monotonic() - stopped_at < NOISE_S


async def test_a_thread_that_a_cancelled_run_left_behind_does_not_delay(
    tmp_path: Path, provider: ScriptedProvider
) -> None:
    """asyncio and the interpreter would wait for it at exit."""
    provider.script(ScriptedAnswer(Call("slow")))
    async with stoppable(tmp_path, provider, drain_s=20) as server:
        async with asking(server.url, "hi", model="sync-tool"):
            await until_begun("sync-tool", tmp_path)
        await until_ready_says(server, live_runs=0)
        assert await seconds_to_end(server, since=stop(server)) < 0.3 + NOISE_S


async def test_a_drain_of_0_interrupts_at_once(tmp_path: Path, provider: ScriptedProvider) -> None:
    provider.script(ScriptedAnswer("a ", Stall()))
    async with stoppable(tmp_path, provider, drain_s=0) as server, asking(server.url, "hi", model="solo") as answer:
        await anext(answer.pieces())
        stopped_at = stop(server)
        await answer.read_all()
        assert await seconds_to_end(server, since=stopped_at) < NOISE_S
    assert answer.done
