"""What goes wrong with a Redis that is there: streams go on, an outage is one line, and the log is whole afterwards."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from tests.kit.cluster import cluster, shared_in
from tests.kit.process import ServerProcess
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, Pause, ScriptedAnswer, ScriptedProvider
from tests.kit.shared_processes import processes, sharing_toml
from tests.kit.slow_proxy import slow_proxy
from tests.kit.waiting import wait_for
from tests.service.test_killed_in_every_protocol import PROTOCOLS
from tests.web.watching import call, start_in_background, starting, watch_all, watching

pytestmark = pytest.mark.needs("redis")

_RULE: Final = ("~{t}:*", "&{t}:*", "+@all", "-@dangerous")


def _change_password(redis: RedisServer) -> None:
    redis.command("acl", "setuser", "agents", "resetpass", ">other")
    redis.command("client", "kill", "user", "agents")


FAULTS: Final[dict[str, tuple[Callable[[RedisServer], object], Callable[[RedisServer], object], str]]] = {
    "full": (
        lambda redis: redis.command("config", "set", "maxmemory", "1mb"),
        lambda redis: redis.command("config", "set", "maxmemory", "0"),
        "the memory of Redis is full (maxmemory)",
    ),
    "a replica": (
        lambda redis: redis.command("replicaof", "127.0.0.1", "1"),
        lambda redis: redis.command("replicaof", "no", "one"),
        "this Redis is a replica and takes no writes",
    ),
    "fewer rights": (
        lambda redis: redis.command("acl", "setuser", "agents", "-rpush", "-rpushx"),
        lambda redis: redis.command("acl", "setuser", "agents", "+rpush", "+rpushx"),
        "the user of Redis may not",
    ),
    "another password": (
        _change_password,
        lambda redis: redis.command("acl", "setuser", "agents", "resetpass", ">pw"),
        "Redis refuses the user or the password",
    ),
    "paused": (
        lambda redis: redis.signal(signal.SIGSTOP),
        lambda redis: redis.signal(signal.SIGCONT),
        "Redis does not answer in time",
    ),
}


async def _until_found(url: str, run_id: str) -> None:
    async def is_found() -> bool:
        return (await call("GET", f"{url}/v1/runs/{run_id}"))[0] == 200

    await wait_for(is_found, "the run to be written")


async def _metric(url: str, name: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(f"{url}/metrics") as response:
        lines = (await response.text()).splitlines()
    return next(line.split()[-1] for line in lines if line.startswith((f"{name} ", f"{name}{{")))


@pytest.mark.parametrize("fault", FAULTS)
async def test_streams_go_on_and_the_log_is_whole_afterwards(
    tmp_path: Path, provider: ScriptedProvider, own_redis: RedisServer, fault: str
) -> None:
    begin, mend, why = FAULTS[fault]
    own_redis.command("acl", "setuser", "agents", "on", ">pw", *_RULE)
    gate, end = Gate(), Gate()
    provider.script(ScriptedAnswer("a ", gate, "b ", end, "c"))
    config = sharing_toml("", provider, lease_s=2.0).replace('redis_url = ""', 'redis_url_env = "URL"')
    url = f"redis://agents:pw@127.0.0.1:{own_redis.port}/0"
    async with (
        processes(config, tmp_path, URL=url) as (here, there),
        starting(here.url, "hi", model="solo") as view,
        watching(there.url, view.run_id) as other,
    ):
        for each in (view, other):
            await each.until(2)
        begin(own_redis)
        gate.open()
        async for _ in view.events():
            if view.text == "a b ":  # it is shown at once
                break
        hit = (here,) if fault == "fewer rights" else (here, there)  # the other process writes nothing
        for server in hit:
            await server.until_logged("redis_unavailable")

            def is_told(server: ServerProcess = server) -> bool:
                return any(why in line["reason"] for line in server.named("redis_unavailable"))

            await wait_for(is_told, why)
        assert await _metric(here.url, "aiostream_shared_runs_available") == "0.0"
        mend(own_redis)
        for server in hit:
            await server.until_logged("redis_available")
        end.open()
        for each in (view, other):
            await each.read_all()
        assert other.told == view.told
        assert (await watch_all(there.url, view.run_id)).told == view.told
        for server in (here, there):
            assert len(server.named("redis_unavailable")) <= 2
            assert float(await _metric(server.url, "aiostream_shared_runs_outages_total")) <= 3
            assert not server.named("runs_taken_over")


async def test_what_redis_forgets_or_evicts_is_no_outage(
    tmp_path: Path, shared_redis: RedisServer, redis_prefix: str
) -> None:
    """Its scripts, a run, or the run's events alone: the process that drives the run writes all of it again."""
    gates = [Gate() for _ in range(4)]
    answer = ScriptedAnswer("a ", gates[0], "b ", gates[1], "c ", gates[2], "d ", gates[3], "e")
    runs = shared_in(shared_redis.url, redis_prefix, lease_s=60.0)
    async with cluster(runs, tmp_path, answer) as (here, there):
        run = await start_in_background(here.url, "hi", model="solo")
        key = f"{{{redis_prefix}}}:run:{run['id']}"

        def is_written() -> bool:
            return shared_redis.last_event(key) == view.seen[-1].number

        async with watching(here.url, run["id"]) as view:
            for gate, forget in zip(
                gates,
                (("script", "flush"), ("del", f"{key}:log"), ("del", key), ("del", key, f"{key}:log")),
                strict=True,
            ):
                said = view.text
                async for event in view.events():
                    if event.kind == "token":
                        break
                assert view.text != said
                await wait_for(is_written, "what was said to be written")
                shared_redis.command(*forget)
                gate.open()
            await view.read_all()
        await _until_found(there.url, run["id"])
        assert (await watch_all(there.url, run["id"])).told == view.told
        _, ready = await call("GET", f"{here.url}/readyz")
        assert ready["shared_runs"] == "ok"


async def test_a_slow_redis_delays_no_stream(tmp_path: Path, shared_redis: RedisServer, redis_prefix: str) -> None:
    """200 ms a call: the start of a run waits for it, its tokens do not."""
    pieces = [piece for number in range(20) for piece in (f"w{number} ", Pause(0.01))]
    async with slow_proxy(shared_redis.port, 0.2) as port:
        runs = shared_in(f"redis://127.0.0.1:{port}/0", redis_prefix, lease_s=4.0)
        async with cluster(runs, tmp_path, ScriptedAnswer(*pieces)) as (here, there):
            async with starting(here.url, "hi", model="solo") as view:
                await view.read_all()
            assert view.text == "".join(f"w{number} " for number in range(20))
            await _until_found(there.url, view.run_id)
            assert (await watch_all(there.url, view.run_id)).told == view.told
            for server in (here, there):
                _, ready = await call("GET", f"{server.url}/readyz")
                assert ready["shared_runs"] == "ok"


async def test_every_protocol_refuses_with_503(tmp_path: Path, own_redis: RedisServer) -> None:
    """With `on_outage = "refuse"`; a load balancer is told, too."""
    runs = shared_in(own_redis.url, "t", on_outage="refuse")
    async with cluster(runs, tmp_path, ScriptedAnswer("a"), count=1) as (here,):
        own_redis.kill()

        async def is_known() -> bool:
            return (await call("GET", f"{here.url}/readyz"))[0] == 503

        await wait_for(is_known, "the outage to be noticed")
        for name, asked in PROTOCOLS.items():
            headers: dict[str, Any] = {**(asked.headers or {})}
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{here.url}{asked.path}", json=asked.body, headers=headers) as response,
            ):
                said = await response.text()
            assert response.status == 503, (name, said)
            assert "the store that it shares with the others" in said, (name, said)
            assert response.headers["Retry-After"], name
