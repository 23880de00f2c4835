"""Redis moves to another server: by Sentinels, or within a cluster. Streams go on, and the log is whole afterwards."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.kit.process import ServerProcess
from tests.kit.redis import RedisServer, running_pair, running_redis_cluster
from tests.kit.scripted_provider import Gate, ScriptedAnswer, ScriptedProvider, Stall
from tests.kit.shared_processes import processes, sharing_toml
from tests.kit.waiting import wait_for
from tests.web.watching import call, cancel, start_in_background, starting, watch_all, watching

pytestmark = pytest.mark.needs("redis")


async def _streams_go_on(
    url: str, folder: Path, provider: ScriptedProvider, move: Callable[[], object]
) -> list[ServerProcess]:
    """While Redis moves; returns what the two servers have logged."""
    gate, end = Gate(), Gate()
    provider.script(ScriptedAnswer("before"), ScriptedAnswer("a ", gate, "b ", end, "c"), ScriptedAnswer(Stall()))
    async with processes(sharing_toml(url, provider, lease_s=2.0), folder) as (here, there):
        earlier = await start_in_background(here.url, "hi", model="solo")
        whole = await watch_all(there.url, earlier["id"])
        async with starting(here.url, "hi", model="solo") as view, watching(there.url, view.run_id) as other:
            for each in (view, other):
                await each.until(2)
            moving = asyncio.create_task(asyncio.to_thread(move))
            await here.until_logged("redis_unavailable")
            gate.open()
            async for _ in view.events():
                if view.text == "a b ":  # it is shown at once
                    break
            await moving
            for server in (here, there):
                await server.until_logged("redis_available")
            end.open()
            for each in (view, other):
                await each.read_all()
            assert other.told == view.told
        for server in (here, there):
            assert (await watch_all(server.url, view.run_id)).told == view.told
            assert (await watch_all(server.url, earlier["id"])).told == whole.told
        run = await start_in_background(here.url, "hi", model="solo")
        assert (await cancel(there.url, run["id"]))["reason"] == "cancelled"
        for server in (here, there):
            assert len(server.named("redis_unavailable")) == 1
            assert not server.named("runs_taken_over")
            _, ready = await call("GET", f"{server.url}/readyz")
            assert (ready["status"], ready["shared_runs"]) == ("ready", "ok")
        return [here, there]


async def test_sentinels_name_another_primary(tmp_path: Path, provider: ScriptedProvider) -> None:
    """One of them is gone, too."""
    with running_pair() as (primary, replica, sentinels):

        def fail() -> None:
            primary.kill()
            sentinels[0].kill()

        hosts = ",".join(f"127.0.0.1:{each.port}" for each in sentinels)
        await _streams_go_on(f"redis+sentinel://{hosts}/mine", tmp_path, provider, fail)
        assert "role:master" in replica.command("info", "replication")


def _move_slot(slot: str, source: RedisServer, target: RedisServer) -> None:
    """As `redis-cli --cluster reshard` does."""
    source_id, target_id = source.command("cluster", "myid"), target.command("cluster", "myid")
    target.command("cluster", "setslot", slot, "importing", source_id)
    source.command("cluster", "setslot", slot, "migrating", target_id)
    while keys := source.command("cluster", "getkeysinslot", slot, "100").split():
        source.command("migrate", "127.0.0.1", str(target.port), "", "0", "5000", "keys", *keys)
    for node in (target, source):
        node.command("cluster", "setslot", slot, "node", target_id)


async def test_the_keys_move_to_another_node_of_a_cluster(tmp_path: Path, provider: ScriptedProvider) -> None:
    """The URL names one node, which has none of the keys."""
    with running_redis_cluster() as nodes:
        slot = nodes[0].command("cluster", "keyslot", "{t}:")
        owner = next(node for node in nodes if "MOVED" not in node.command("exists", "{t}:x"))
        other, third = (node for node in nodes if node is not owner)
        url = f"redis+cluster://127.0.0.1:{other.port}"
        await _streams_go_on(url, tmp_path, provider, lambda: _move_slot(slot, owner, third))
        assert third.command("exists", "{t}:seen") == "1"


async def test_a_replica_in_a_cluster_is_promoted(tmp_path: Path, provider: ScriptedProvider) -> None:
    """The URL names only the node that fails."""
    with running_redis_cluster(replicas=True, timeout_ms=1000) as nodes:
        at, owner = next(
            (at, node) for at, node in enumerate(nodes[:3]) if "MOVED" not in node.command("exists", "{t}:x")
        )
        await _streams_go_on(f"redis+cluster://127.0.0.1:{owner.port}", tmp_path, provider, owner.kill)
        assert "role:master" in nodes[3 + at].command("info", "replication")


async def test_what_redis_has_lost_of_finished_runs_is_written_again(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer
) -> None:
    """It comes back as it was before the end of a run, as a replica does that lags: neither the slot nor the turn is
    taken for ever."""
    gate = Gate()
    provider.script(ScriptedAnswer("a ", gate, "b"), ScriptedAnswer("c"))
    config = sharing_toml(own_redis.url, provider) + "[limits]\nmax_runs = 1\nqueue_size = 1\n"
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk"}
    async with processes(config, tmp_path) as (here, there):
        async with starting(here.url, "hi", **asked) as view:
            async for event in view.events():
                if event.kind == "token":
                    break
            key, written = f"{{t}}:run:{view.run_id}", view.seen[-1].number
            await wait_for(lambda: own_redis.last_event(key) == written, "the beginning in Redis")
            assert own_redis.command("save") == "OK"
            gate.open()
            await view.read_all()
        await wait_for(lambda: own_redis.command("hget", key, "finished") == "1", "the end in Redis")
        own_redis.kill()
        own_redis.start()  # so quickly that it may be no outage
        await wait_for(lambda: own_redis.command("hget", key, "finished") == "1", "the end in Redis, again")

        async def has_noticed() -> bool:
            return bool((await call("GET", f"{there.url}/readyz"))[1]["shared_runs"] == "ok")

        await wait_for(has_noticed, "the other server reaches Redis again")
        assert (await watch_all(there.url, view.run_id)).told == view.told
        async with starting(there.url, "and now?", **asked) as other:
            assert (await other.read_all()).text == "c"
        await wait_for(lambda: not own_redis.command("keys", "{t}:slots*"), "no slot is left")
