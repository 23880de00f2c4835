"""Two processes that drive runs in one real Redis, in any order of writing, failing, pausing and coming back.

Time is moved by ending leases in Redis, so nothing waits for one. Whatever happens: no number of an event has two
meanings, every gap is told, a run has exactly one end, and a process that was taken to have failed changes nothing.
"""

import asyncio
import secrets
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from aiostream_server.events import Dropped, Entry, Message, RunFinished, TokenCount
from aiostream_server.log.redis.packing import entries_in
from aiostream_server.log.redis.scripts import READ
from aiostream_server.runs.run import Run
from tests.kit.redis import RedisServer
from tests.kit.shared_runs import sharing
from tests.runs.running import new_run

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

_LONG_S: Final = 60.0  # no lease ends by itself
_FAR_MS: Final = 10**13


class Processes(RuleBasedStateMachine):
    redis: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.stack = AsyncExitStack()
        self.nodes: list[SharedRuns] = []
        self.runs: list[tuple[int, Run]] = []
        self.lost: set[str] = set()
        """Runs that Redis has lost when their processes had no more to write."""
        self.shown: dict[str, dict[int, object]] = {}
        """What a viewer may have seen of each run, by number: at the process that drives it, and in Redis."""

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.prefix = f"test-{secrets.token_hex(6)}"

        async def open_nodes() -> None:
            for _ in range(2):
                opened = sharing(self.redis.url, self.prefix, lease_s=_LONG_S)
                self.nodes.append(await self.stack.enter_async_context(opened))

        self._do(open_nodes())

    @rule(at=st.integers(0, 1))
    def start(self, at: int) -> None:
        async def put() -> None:
            run = new_run(f"run-{len(self.runs)}")
            self.runs.append((at, run))
            await self.nodes[at].directory.put(run)

        self._do(put())

    @rule(number=st.integers(0, 9), tokens=st.integers(0, 3), is_message=st.booleans())
    def say(self, number: int, tokens: int, is_message: bool) -> None:
        async def speak() -> None:
            for _, run in self._chosen(number):
                run.log.say("A", "final", [f"{run.log.committed + each} " for each in range(tokens)])
                if is_message:
                    run.log.append(Message("A", str(run.log.committed)))

        self._do(speak())

    @rule(number=st.integers(0, 9))
    def finish(self, number: int) -> None:
        for at, run in self._chosen(number):
            if run.finished is None:
                run.finished = RunFinished("stop", TokenCount(), 1.0)
                run.log.append(run.finished)
                self.nodes[at].directory.finish(run)

    @rule(at=st.integers(0, 1))
    def write(self, at: int) -> None:
        """Everything that a process has to say; it may be one that was taken to have failed."""
        self._do(self._write(self.nodes[at]))

    @rule(at=st.integers(0, 1))
    def take_over(self, at: int) -> None:
        """The lease of one ends, and the other notices it."""
        failed, other = self.nodes[at], self.nodes[1 - at]

        async def fail() -> None:
            await self._set_lease(failed, 1)
            await other.takeover._take_over(failed.node)

        self._do(fail())

    @rule(at=st.integers(0, 1))
    def come_back(self, at: int) -> None:
        """It renews its lease, and finds out what has become of its runs."""

        async def renew() -> None:
            await self._set_lease(self.nodes[at], _FAR_MS)
            self.nodes[at].check()

        self._do(renew())

    @rule()
    def lose_everything(self) -> None:
        """But the runs that are still to be written are written again."""

        async def lose() -> None:
            client = self.nodes[0].connection.client
            if keys := await client.keys(f"{{{self.prefix}}}:*"):
                await client.delete(*keys)
            for node in self.nodes:
                await self._set_lease(node, _FAR_MS)
                node.check()
                await node.admission.settle()

        self._do(lose())
        self.lost |= {run.id for at, run in self.runs if run.id not in self.nodes[at].writer}
        self.shown.clear()

    @invariant()
    def every_log_is_sound(self) -> None:
        for at, run in self.runs:
            stored = self._do(self._stored(run.id))
            self._check_numbers(stored)
            is_ours = run.id in self.nodes[at].writer
            shown = self.shown.setdefault(run.id, {})
            for entry in (*stored, *(run.log.since(0) if is_ours else ())):
                if not isinstance(entry.event, Dropped):
                    assert shown.setdefault(entry.seq, entry.event) == entry.event, "a number has one meaning"

    def _check_numbers(self, stored: list[Entry]) -> None:
        expected = 1
        for place, entry in enumerate(stored):
            first = entry.event.first if isinstance(entry.event, Dropped) else entry.seq
            assert first == expected, "no gap, and nothing twice"
            expected = entry.seq + 1
            assert isinstance(entry.event, RunFinished) <= (place == len(stored) - 1), "nothing follows the end"

    def _chosen(self, number: int) -> list[tuple[int, Run]]:
        return [self.runs[number % len(self.runs)]] if self.runs else []

    async def _write(self, node: "SharedRuns") -> None:
        for _ in range(4):  # a run may have to be written anew
            async with node.writer._writing:
                await node.writer._write([owned for owned in node.writer._runs.values() if owned.is_due])

    async def _set_lease(self, node: "SharedRuns", until_ms: int) -> None:
        await node.connection.client.zadd(f"{{{self.prefix}}}:nodes", {node.node: until_ms})

    async def _stored(self, run_id: str) -> list[Entry]:
        found = await self.nodes[0].connection.run(READ, run_id, 0, 1000)
        return [entry for payload in (found[4] if found else ()) for entry in entries_in(payload, 0)]

    def teardown(self) -> None:
        for at, run in self.runs:
            if run.finished is None:
                run.finished = RunFinished("stop", TokenCount(), 1.0)
                run.log.append(run.finished)
                self.nodes[at].directory.finish(run)
        if self.nodes:
            for node in self.nodes:
                self._do(self._write(node))
            self.every_log_is_sound()
            for _, run in self.runs:
                stored = self._do(self._stored(run.id))
                assert stored or run.id in self.lost, "whatever happened, the run is known"
                assert not stored or isinstance(stored[-1].event, RunFinished), "and has an end"
            self._do(self.stack.aclose())
        self.loop.close()


@pytest.mark.needs("redis")
def test_any_order_of_failures(shared_redis: RedisServer) -> None:
    Processes.redis = shared_redis
    machine = settings(max_examples=20, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Processes, settings=machine)
