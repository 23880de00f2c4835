"""Limits, turns and idempotency keys hold over all processes, as if they were one."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from aiostream_server.config.model import ConversationsConfig, LimitsConfig, RunsConfig
from aiostream_server.events import RunFinished, TokenCount
from aiostream_server.intake.principal import Owner
from aiostream_server.log.redis.scripts import CLAIM
from tests.kit.cluster import cluster, shared_in
from tests.kit.redis import RedisServer
from tests.kit.scripted_provider import Gate, ScriptedAnswer, Stall
from tests.kit.serving import chat_body, until_idle
from tests.kit.shared_runs import settled, sharing
from tests.kit.waiting import DEADLINE_S, wait_for
from tests.runs.running import new_run
from tests.web.watching import cancel, start_in_background, starting

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

pytestmark = pytest.mark.needs("redis")

A, B = Owner("a"), Owner("b")


@pytest.fixture
def runs(shared_redis: RedisServer, redis_prefix: str) -> RunsConfig:
    return shared_in(shared_redis.url, redis_prefix)


@pytest.fixture
async def nodes(shared_redis: RedisServer, redis_prefix: str) -> "AsyncIterator[list[SharedRuns]]":
    """Three processes' parts."""
    limits = LimitsConfig(max_runs=50, queue_size=1_000, queue_timeout_s=60)
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(sharing(shared_redis.url, redis_prefix, limits)) for _ in range(3)]


async def test_of_500_callers_at_three_processes_never_more_than_50_have_a_slot(nodes: "list[SharedRuns]") -> None:
    held, most, served = set[str](), 0, Counter[str]()

    async def ask(number: int) -> None:
        nonlocal most
        node, run_id = nodes[number % 3], f"run-{number}"
        await node.admission.enter(A if number % 2 else B, run_id)
        held.add(run_id)
        most = max(most, len(held))
        served[node.node] += 1
        await asyncio.sleep(0.03)
        held.remove(run_id)
        node.admission.leave(run_id)

    started = time.monotonic()
    await asyncio.gather(*map(ask, range(500)))
    assert 40 < most <= 50
    assert len(served) == 3
    assert time.monotonic() - started < 20, "a slot that is free is given away at once"
    await settled(*nodes)
    assert [node.admission.queued for node in nodes] == [0, 0, 0]


async def test_a_slot_goes_at_once_to_a_caller_of_another_process(nodes: "list[SharedRuns]") -> None:
    """To keys in turn, wherever they wait."""
    for node in nodes:
        node.admission.limit(LimitsConfig(max_runs=1, queue_size=100, queue_timeout_s=60))
    await nodes[0].admission.enter(A, "first")
    order: list[str] = []

    async def ask(node: "SharedRuns", owner: Owner, run_id: str) -> None:
        await node.admission.enter(owner, run_id)
        order.append(run_id)

    waiting = []
    for number in range(6):
        waiting.append(asyncio.create_task(ask(nodes[1], A, f"a{number}")))
        await settled(*nodes)
    for number in range(2):
        waiting.append(asyncio.create_task(ask(nodes[2], B, f"b{number}")))
        await settled(*nodes)
    nodes[0].admission.leave("first")
    for number in range(1, 6):
        await wait_for(lambda number=number: len(order) == number)  # type: ignore[misc]
        node = nodes[2] if order[-1].startswith("b") else nodes[1]
        node.admission.leave(order[-1])
    await wait_for(lambda: len(order) == 6)
    assert order == ["a0", "b0", "a1", "b1", "a2", "a3"]
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)


async def test_callers_are_told_their_places_in_the_queue_of_all(nodes: "list[SharedRuns]") -> None:
    """In the order in which keys and users take turns; none where the own key has all of its runs."""
    for node in nodes:
        node.admission.limit(LimitsConfig(max_runs=1, max_runs_per_key=0, queue_size=100, queue_timeout_s=60))
    await nodes[0].admission.enter(A, "first")
    told: dict[str, list[Any]] = {}
    other_user, order = Owner("a", "other"), list[str]()

    async def ask(node: "SharedRuns", owner: Owner, run_id: str) -> None:
        await node.admission.enter(owner, run_id, told.setdefault(run_id, []).append)
        order.append(run_id)

    callers = [(1, A, "a0"), (1, A, "a1"), (2, B, "b0"), (0, other_user, "o0"), (2, B, "b1")]
    waiting = []
    for at, owner, run_id in callers:
        waiting.append(asyncio.create_task(ask(nodes[at], owner, run_id)))
        await wait_for(lambda run_id=run_id: told.get(run_id))  # type: ignore[misc, arg-type]
    assert told == {"a0": [1], "a1": [2], "b0": [2], "o0": [3], "b1": [4]}
    left = "first"
    for count in range(1, 6):
        next(node for node in nodes if left in node.admission._held).admission.leave(left)
        await wait_for(lambda count=count: len(order) == count)  # type: ignore[misc]
        left = order[-1]
        behind = [run_id for _, _, run_id in callers if run_id not in order]
        await wait_for(lambda: min((told[run_id][-1] or 0 for run_id in behind), default=1) == 1)  # noqa: B023
    assert order == ["a0", "b0", "o0", "b1", "a1"]
    assert all(places == sorted(places, reverse=True) for places in told.values())
    for node in nodes:
        node.admission.limit(LimitsConfig(max_runs=9, max_runs_per_key=1, queue_size=100, queue_timeout_s=60))
    await settled(*nodes)
    last = asyncio.create_task(ask(nodes[0], A, "a2"))
    assert order[-1] == "a1"
    await wait_for(lambda: told.get("a2") == [None])
    nodes[1].admission.leave("a1")
    await last


async def test_a_process_that_was_taken_for_failed_keeps_its_hands_off_the_slot_of_a_turn_that_began_again(
    shared_redis: RedisServer, redis_prefix: str
) -> None:
    """The process that has begun it again holds it now, and the limit counts it."""
    async with (
        sharing(shared_redis.url, redis_prefix, lease_s=60.0) as paused,
        sharing(shared_redis.url, redis_prefix, lease_s=60.0) as other,
    ):
        run = new_run("run-1", restart=True)
        await paused.admission.enter(run.owner, run.id)
        await paused.directory.put(run)
        await paused.owned.written(run.id, 30)
        shared_redis.command("zadd", f"{{{redis_prefix}}}:nodes", "1", paused.node)
        claimed = await other.connection.run(CLAIM, paused.node, other.node, 60_000, 1, "again")
        assert [(run_id, attempt) for run_id, _, attempt in claimed] == [(b"run-1", 2)]
        paused.admission.leave(run.id)
        await settled(paused)
        assert shared_redis.command("hget", f"{{{redis_prefix}}}:slots", run.id).startswith(other.node)


async def test_the_write_of_a_runs_end_gives_back_its_slot_and_its_turn(
    shared_redis: RedisServer, redis_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one step, which takes Redis less than a call for each."""
    for module in ("slot_calls", "turns"):
        monkeypatch.setattr(f"aiostream_server.runs.shared.{module}.END_WRITTEN_S", 60.0)
    limits = LimitsConfig(max_runs=1, queue_size=1, queue_timeout_s=60)
    async with (
        sharing(shared_redis.url, redis_prefix, limits) as node,
        sharing(shared_redis.url, redis_prefix, limits) as other,
    ):
        run = new_run("run-1", conversation="talk")
        key = run.request.turn_key
        assert key is not None
        await node.admission.enter(run.owner, run.id)
        await node.turns.enter(key, run)
        await node.directory.put(run)
        waiting = asyncio.create_task(other.admission.enter(run.owner, "run-2"))
        await wait_for(lambda: other.admission.queued == 1)
        run.finished = RunFinished("stop", TokenCount(), 1.0)
        run.log.append(run.finished)
        node.admission.leave(run.id)
        node.turns.leave(key, run)
        node.directory.finish(run)
        await asyncio.wait_for(waiting, DEADLINE_S)
        assert shared_redis.command("keys", f"*{redis_prefix}*:turn:*") == ""
        await wait_for(lambda: not node.admission.calls._left and not node.turns._left, "nothing left to tell")
        for task in (*node.admission.calls._tasks, *node.turns._leaving):
            task.cancel()


async def test_a_slot_that_was_told_again_while_its_run_ended_is_given_back(
    shared_redis: RedisServer, redis_prefix: str
) -> None:
    """`RESTORE` may come behind the write of the end, and take the slot once more."""
    async with sharing(shared_redis.url, redis_prefix) as node:
        await node.admission.enter(A, "run-1")
        node.admission.restore()
        await asyncio.sleep(0)  # it is on its way, with the slot
        node.admission.leave("run-1")
        node.admission.calls.end_written("run-1")
        await settled(node)
        assert shared_redis.command("hlen", f"{{{redis_prefix}}}:slots") == "0"


async def test_a_limit_counts_the_runs_of_all(tmp_path: Path, runs: RunsConfig) -> None:
    async with cluster(runs, tmp_path, *[ScriptedAnswer(Stall())] * 3, max_runs=2) as (here, there):
        ids = [(await start_in_background(server.url, "hi", model="solo"))["id"] for server in (here, there)]
        for server in (here, there):
            async with starting(server.url, "hi", model="solo", background=True) as view:
                assert view.response.status == 429
                assert "2 runs are still going on" in await view.response.text()
        await cancel(there.url, ids[0])
        await until_idle(here)
        await start_in_background(there.url, "hi", model="solo")


async def test_a_key_of_idempotency_starts_one_run_wherever_it_is_sent(tmp_path: Path, runs: RunsConfig) -> None:
    """At the same time, later, when its run has ended; another body is a conflict."""
    gate = Gate()
    async with cluster(runs, tmp_path, *[ScriptedAnswer("a", gate, "b")] * 2, count=3) as servers:

        async def ask(url: str, text: str = "hi") -> tuple[int, str, str | None]:
            body = chat_body(text, model="solo", background=True)
            async with (
                aiohttp.ClientSession() as session,
                session.post(f"{url}/v1/runs", json=body, headers={"Idempotency-Key": "k"}) as response,
            ):
                return response.status, (await response.json()).get("id"), response.headers.get("Idempotent-Replayed")

        answers = await asyncio.gather(*(ask(server.url) for server in servers * 4))
        assert {status for status, _, _ in answers} == {202}
        assert len({run_id for _, run_id, _ in answers}) == 1
        assert [replayed for _, _, replayed in answers].count(None) == 1
        assert {(await ask(server.url, "other"))[0] for server in servers} == {409}
        gate.open()
        for server in servers:
            await until_idle(server)
        again = [await ask(server.url) for server in servers]
        assert {run_id for _, run_id, _ in again} == {answers[0][1]}
        assert {replayed for _, _, replayed in again} == {"true"}


async def test_questions_of_one_conversation_take_turns_over_all(tmp_path: Path, runs: RunsConfig) -> None:
    gate = Gate()
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk"}
    async with (
        cluster(runs, tmp_path, ScriptedAnswer("a", gate), ScriptedAnswer("b")) as (here, there),
        starting(here.url, "hi", **asked) as first,
    ):
        await first.until(2)
        async with starting(there.url, "hi again", **asked) as second:
            await second.until(2)
            assert "token" not in second.kinds
            gate.open()
            await first.read_all()
            await second.read_all()
        assert (second.text, second.seen[-1].body["reason"]) == ("b", "stop")


@pytest.mark.parametrize("policy", ["reject", "interrupt"])
async def test_a_second_question_elsewhere_is_rejected_or_interrupts(
    tmp_path: Path, runs: RunsConfig, policy: str
) -> None:
    asked: dict[str, Any] = {"model": "solo", "conversation": "talk"}
    answers = [ScriptedAnswer("a", Stall()), ScriptedAnswer("b")]
    conversations = ConversationsConfig.model_validate({"concurrent_turns": policy})
    async with (
        cluster(runs, tmp_path, *answers, conversations=conversations) as (here, there),
        starting(here.url, "hi", **asked) as first,
    ):
        await first.until(2)
        async with starting(there.url, "hi again", **asked) as second:
            if policy == "reject":
                assert second.response.status == 409
                await cancel(there.url, first.run_id)
            else:
                await second.read_all()
                assert second.text == "b"
        await first.read_all()
        assert first.seen[-1].body["reason"] == "cancelled"
