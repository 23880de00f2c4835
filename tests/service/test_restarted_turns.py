"""`restart = "turn"`: another process begins the turn of a failed one again, and every viewer goes on in its stream."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import ScriptedAnswer, ScriptedProvider
from tests.kit.waiting import wait_for
from tests.service.test_cluster import processes, reading, ticking, toml
from tests.web.watching import View, call, start_in_background, starting, watch_all, watching

pytestmark = pytest.mark.needs("redis")


@pytest.fixture
async def provider() -> AsyncIterator[ScriptedProvider]:
    async with ScriptedProvider() as provider:
        yield provider


@pytest.fixture
def config(shared_redis: RedisServer, redis_prefix: str, provider: ScriptedProvider) -> str:
    return toml(shared_redis.url, provider, redis_prefix) + 'restart = "turn"\non_disconnect = "continue"\n'


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
