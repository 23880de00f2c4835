"""`restart = "turn"`: another process begins the turn of a failed one again, and every viewer goes on in its stream."""

import asyncio
import signal
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from aiostream_server.events.fixed_notices import RESTARTED
from tests.kit.cluster import LEASE_S
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider
from tests.kit.shared_processes import processes, sharing_toml
from tests.kit.waiting import wait_for
from tests.service.test_cluster import reading, ticking
from tests.web.watching import View, call, cancel, start_in_background, starting, watch_all, watching

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
def config(shared_redis: RedisServer, redis_prefix: str, provider: ScriptedProvider) -> str:
    return sharing_toml(shared_redis.url, provider, redis_prefix) + 'restart = "turn"\non_disconnect = "continue"\n'


def check_numbers(view: View) -> None:
    """No number twice, no gap that is not told."""
    expected = view.seen[0].body.get("first", view.seen[0].number)
    for event in view.seen:
        assert event.body.get("first", event.number) == expected
        expected = event.number + 1
    assert view.kinds.index("run_finished") == len(view.seen) - 1


def after_restart(view: View) -> list[str]:
    """What its tokens say since the last beginning."""
    last = max(place for place, kind in enumerate(view.kinds) if kind == "restarted")
    return [event.body["content"] for event in view.seen[last:] if event.kind == "token"]


async def test_the_turn_begins_again_elsewhere_and_every_viewer_goes_on(
    tmp_path: Path, config: str, provider: ScriptedProvider
) -> None:
    """With what was asked, the options of the request and the conversation's earlier turns."""
    provider.script(ScriptedAnswer("One."))
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk", "temperature": 0.25}
    database = tmp_path / "talks.db"
    config += f'[conversations]\nurl = "sqlite:///{database}"\n'
    async with processes(config, tmp_path) as (here, there), AsyncExitStack() as stack:
        async with starting(here.url, "first", **asked) as earlier:
            await earlier.read_all()
        provider.script(ticking(), ScriptedAnswer("Two, ", "again."))
        view = await stack.enter_async_context(starting(here.url, "second", **asked))
        other = await stack.enter_async_context(watching(there.url, view.run_id))
        readers = [asyncio.create_task(reading(each)) for each in (view, other)]
        await wait_for(lambda: min(len(view.seen), len(other.seen)) > 30, "events everywhere")
        here.process.kill()
        await asyncio.gather(*readers)
        assert after_restart(other) == ["Two, ", "again."]
        assert other.seen[-1].body["reason"] == "stop"
        place = other.kinds.index("restarted")
        assert other.kinds[place - 1] == "dropped"
        assert other.seen[place].body["attempt"] == 2
        resumed = await watch_all(there.url, view.run_id, view.seen[-1].number)
        assert resumed.kinds[0] == "dropped"
        whole = await watch_all(there.url, view.run_id)
        for each in (other, resumed, whole):
            check_numbers(each)
        shown = {event.number: event.raw for event in (*view.seen, *other.seen)}
        assert all(shown.get(event.number, event.raw) == event.raw for event in whole.seen)
        first, second = (exchange.body for exchange in provider.exchanges[-2:])
        assert first == second
        assert second["temperature"] == 0.25
        assert [message["content"] for message in second["messages"]][1:] == ["first", "One.", "second"]
        _, card = await call("GET", f"{there.url}/v1/runs/{view.run_id}")
        assert (card["status"], card["reason"]) == ("finished", "stop")
        assert [line["restarted"] for line in there.named("runs_taken_over")] == [1]
        async with aiohttp.request("GET", f"{there.url}/metrics") as response:
            assert "aiostream_runs_restarted_total 1.0" in await response.text()
        async with starting(there.url, "third", **asked) as later:
            await later.read_all()
        told = [message["content"] for message in provider.exchanges[-1].body["messages"]]
        assert told[1:] == ["first", "One.", "second", "Two, again.", "third"], "the turn is kept once"


async def test_a_run_that_kills_its_processes_ends_after_as_many_as_are_allowed(
    tmp_path: Path, config: str, provider: ScriptedProvider, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """The third of three processes lives on, and no slot is left."""
    provider.script(lambda _: ticking())
    async with processes(config, tmp_path, 3) as servers:
        run = await start_in_background(servers[0].url, "hi", model="solo")
        async with watching(servers[2].url, run["id"]) as view:
            await view.until(20)
            servers[0].process.kill()
            async for event in view.events():
                if event.kind == "restarted":
                    break
            await wait_for(lambda: len(provider.exchanges) == 2)
            driver = next(server for server in servers[1:] if server.named("runs_taken_over"))
            survivor = next(server for server in servers[1:] if server is not driver)
            watcher = asyncio.create_task(reading(view))
            await wait_for(lambda: view.kinds[-1] == "token")
            driver.process.kill()
            await watcher
        whole = await watch_all(survivor.url, run["id"])
        check_numbers(whole)
        assert whole.kinds.count("restarted") == 1
        assert whole.seen[-1].body["reason"] == "interrupted"
        assert len(provider.exchanges) == 2
        await wait_for(lambda: not shared_redis.command("keys", f"{{{redis_prefix}}}:slots*"), "no slot is left")


async def test_a_process_that_was_paused_hands_its_viewers_over_and_keeps_nothing(
    tmp_path: Path, config: str, provider: ScriptedProvider
) -> None:
    """Its viewers go on in their streams, also those of chat completions; the conversation has the new turn, once."""
    hold, end = Gate(), Gate()
    chat: dict[str, Any] = {"model": "solo", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk"}
    second = ScriptedAnswer("Two, ", end, "again.")
    answers = {"hi": [ticking(), second], "say": [ScriptedAnswer("One, ", hold, "old."), second]}
    provider.script(lambda body: answers[body["messages"][-1]["content"]].pop(0))
    config += f'[conversations]\nurl = "sqlite:///{tmp_path / "talks.db"}"\n'
    async with processes(config, tmp_path) as (here, there), AsyncExitStack() as stack:
        session = await stack.enter_async_context(aiohttp.ClientSession())
        spoken = await stack.enter_async_context(session.post(f"{here.url}/v1/chat/completions", json=chat))
        await spoken.content.readuntil(b"10 ")
        view = await stack.enter_async_context(starting(here.url, "say", **asked))
        other = await stack.enter_async_context(watching(there.url, view.run_id))
        for each in (view, other):
            await each.until(3)
        here.process.send_signal(signal.SIGSTOP)
        hold.open()  # what it would finish the turn with waits in its socket
        async for event in other.events():
            if event.kind == "restarted":
                break
        await wait_for(lambda: len(provider.exchanges) == 4)
        here.process.send_signal(signal.SIGCONT)
        await here.until_logged("run_taken_over", 2)
        end.open()
        await view.read_all()
        await other.read_all()
        text = (await spoken.read()).decode()
        for each in (view, other):
            check_numbers(each)
            assert after_restart(each)[-1] == "again."
        assert view.seen[-1].raw == other.seen[-1].raw
        assert RESTARTED in text
        assert text.endswith("data: [DONE]\n\n")
        assert '"finish_reason":"stop"' in text.replace(" ", "")
        provider.script(ScriptedAnswer("Three."))
        async with starting(here.url, "and now?", **asked) as later:
            await later.read_all()
        told = [message["content"] for message in provider.exchanges[-1].body["messages"]]
        assert told[1:] == ["say", "Two, again.", "and now?"]


async def test_a_run_is_cancelled_while_it_begins_again(
    tmp_path: Path, config: str, provider: ScriptedProvider
) -> None:
    """Asked for before another process has noticed the failure, and after that."""
    provider.script(lambda _: ticking())
    async with processes(config, tmp_path) as (here, there), AsyncExitStack() as stack:
        runs = [await start_in_background(here.url, "hi", model="solo") for _ in range(2)]
        views = [await stack.enter_async_context(watching(there.url, run["id"])) for run in runs]
        for view in views:
            await view.until(20)
        here.process.kill()
        async with aiohttp.ClientSession() as session:
            await session.post(f"{there.url}/v1/runs/{runs[0]['id']}/cancel")
        await views[0].read_all()
        async for event in views[1].events():
            if event.kind == "restarted":
                break
        await cancel(there.url, runs[1]["id"])
        await views[1].read_all()
        assert [view.kinds.count("restarted") for view in views] == [0, 1]
        for view in views:
            check_numbers(view)
            assert view.seen[-1].body["reason"] == "cancelled"


async def test_a_run_waits_for_a_process_that_serves_its_team(
    tmp_path: Path, config: str, provider: ScriptedProvider
) -> None:
    """One that does not leaves it alone for two leases."""
    provider.script(ticking(), ScriptedAnswer("Two."))
    config = config.replace(f"lease_s = {LEASE_S}", "lease_s = 3.0")
    unaware = config.replace('id = "solo"', 'id = "another"')
    (tmp_path / "u").mkdir()
    async with processes(config, tmp_path, 2) as (here, knows), processes(unaware, tmp_path / "u", 2) as others:
        run = await start_in_background(here.url, "hi", model="solo")
        async with watching(others[0].url, run["id"]) as view:
            await view.until(20)
            here.process.kill()
            await view.read_all()
        assert after_restart(view) == ["Two."]
        assert knows.named("runs_taken_over")
        assert not any(other.named("runs_taken_over") for other in others)
