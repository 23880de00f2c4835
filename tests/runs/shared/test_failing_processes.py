"""Two processes that drive runs in one real Redis, in any order of writing, failing, pausing and coming back.

Time is moved by ending leases in Redis, so nothing waits for one. Whatever happens: no number of an event has two
meanings for any viewer at any process, every gap is told, a run has exactly one end, which all viewers see, and a
process that was taken to have failed changes nothing. Of some runs the turn begins again, once.
"""

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from aiostream_server.config.model import LimitsConfig
from aiostream_server.errors import NotFound, RunGone
from aiostream_server.events import Dropped, Entry, Message, Restarted, RunFinished, TokenCount
from aiostream_server.log.protocol import Log
from aiostream_server.log.redis.packing import entries_in
from aiostream_server.log.redis.scripts import READ
from aiostream_server.runs.card import RunView
from aiostream_server.runs.registry import Registry
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.run import EarlierAttempts, Run
from tests.kit.redis import RedisServer
from tests.kit.shared_runs import sharing
from tests.runs.running import new_run

if TYPE_CHECKING:
    from aiostream_server.runs.shared.backend import SharedRuns

_LONG_S: Final = 60.0  # no lease ends by itself
_LOSE: Final = "for _, key in ipairs(redis.call('KEYS', ARGV[1])) do redis.call('DEL', key) end"
_END_S: Final = 30.0
_FAR_MS: Final = 10**13


class Beginner:
    """What a process's registry does with a turn that begins again, without a team: the test says the events."""

    def __init__(self, node: "SharedRuns", begun: Callable[[Run], object]) -> None:
        self.limits: Final = LimitsConfig()
        self.restartable: Final = ("again",)
        self._node: Final = node
        self._begun: Final = begun

    async def begin_again(self, run_id: str, request: RunRequest, team: str, log: Log, earlier: EarlierAttempts) -> Run:
        run = new_run(run_id, log=log, earlier=earlier, restart=True)
        log.append(Restarted(earlier.count + 1))
        self._begun(run)
        await self._node.directory.put(run)
        return run


@dataclass
class Viewer:
    """A viewer of a run at some process, from its first event on."""

    run_id: str
    seen: list[Entry] = field(default_factory=list)

    async def watch(self, run: RunView) -> None:
        with run.watch() as reader:
            while not reader.at_end:
                self.seen += await reader.read()

    def check(self) -> None:
        expected = 1
        for entry in self.seen:
            first = entry.event.first if isinstance(entry.event, Dropped) else entry.seq
            assert first == expected, "no gap that is not told, and nothing twice"
            expected = entry.seq + 1


class Processes(RuleBasedStateMachine):
    redis: RedisServer
    begins_again = True

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
        self.viewers: list[tuple[Viewer, asyncio.Task[None]]] = []

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @initialize()
    def begin(self) -> None:
        self.prefix = f"test-{secrets.token_hex(6)}"

        async def open_nodes() -> None:
            for _ in range(2):
                opened = sharing(self.redis.url, self.prefix, lease_s=_LONG_S)
                at, node = len(self.nodes), await self.stack.enter_async_context(opened)
                self.nodes.append(node)
                beginner = Beginner(node, lambda run, at=at: self.runs.append((at, run)))  # type: ignore[misc]
                node.takeover.attach(cast("Registry", beginner))

        self._do(open_nodes())
        for at in (0, 1):
            self.start(at, restart=True)

    @rule(at=st.integers(0, 1), restart=st.booleans())
    def start(self, at: int, restart: bool) -> None:
        async def put() -> None:
            run = new_run(f"run-{len(self.runs)}", restart=restart and self.begins_again)
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
            self._do(self._finish(at, run))

    @rule(at=st.integers(0, 1), number=st.integers(0, 9))
    def view(self, at: int, number: int) -> None:
        async def watch() -> None:
            for _, run in self._chosen(number):
                with suppress(NotFound, RunGone):
                    viewer, found = Viewer(run.id), await self.nodes[at].directory.find(run.id, None)
                    self.viewers.append((viewer, asyncio.create_task(viewer.watch(found))))
                    await asyncio.sleep(0)

        self._do(watch())

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

    @invariant()
    def every_log_is_sound(self) -> None:
        for at, run in self.runs:
            stored = self._do(self._stored(run.id))
            self._check_numbers(stored)
            is_ours = run.id in self.nodes[at].owned
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

    async def _finish(self, at: int, run: Run) -> None:
        """As a run does: it tells its end once Redis has confirmed that it is still this process's."""
        if run.finished is not None:
            return
        completing = asyncio.create_task(run.log.complete())
        both: set[asyncio.Future[Any]] = {completing, run._ending}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        completing.cancel()
        run.finished = RunFinished("interrupted" if run._ending.done() else "stop", TokenCount(), 1.0)
        run.log.append(run.finished)
        self.nodes[at].directory.finish(run)

    async def _close_viewers(self, viewers: Sequence[tuple[Viewer, asyncio.Task[None]]]) -> None:
        for _, task in viewers:
            task.cancel()
        if viewers:
            await asyncio.wait([task for _, task in viewers])

    async def _check_viewers(self) -> None:
        """All have seen the same events, however they came to them, and the same end."""
        tasks = [task for _, task in self.viewers]
        if tasks:
            _, waiting = await asyncio.wait(tasks, timeout=_END_S)
            assert not waiting, "every stream ends"
        for viewer, task in self.viewers:
            task.result()
            viewer.check()
            shown = self.shown.setdefault(viewer.run_id, {})
            for entry in viewer.seen:
                if not isinstance(entry.event, Dropped):
                    assert shown.setdefault(entry.seq, entry.event) == entry.event, "a number has one meaning for all"
            (end,) = (entry for entry in viewer.seen if isinstance(entry.event, RunFinished))
            assert end.seq == max(shown), "and all see the same end"

    def _chosen(self, number: int) -> list[tuple[int, Run]]:
        return [self.runs[number % len(self.runs)]] if self.runs else []

    async def _write(self, node: "SharedRuns") -> None:
        for _ in range(4):  # a run may have to be written anew
            async with node.writer._writing:
                await node.writer._write([owned for owned in node.owned if owned.is_due])

    async def _set_lease(self, node: "SharedRuns", until_ms: int) -> None:
        await node.connection.client.zadd(f"{{{self.prefix}}}:nodes", {node.node: until_ms})

    async def _stored(self, run_id: str) -> list[Entry]:
        found = await self.nodes[0].connection.run(READ, run_id, 0, 1000)
        return [entry for payload in (found[4] if found else ()) for entry in entries_in(payload, 0)]

    def teardown(self) -> None:
        for at, run in self.runs:
            self._do(self._finish(at, run))
        if self.nodes:
            for node in self.nodes:
                self._do(self._write(node))
            self.every_log_is_sound()
            for _, run in self.runs:
                stored = self._do(self._stored(run.id))
                assert stored or run.id in self.lost, "whatever happened, the run is known"
                assert not stored or isinstance(stored[-1].event, RunFinished), "and has an end"
            self._do(self._check_viewers())
            self._do(self.stack.aclose())
        self.loop.close()


class ProcessesOfALosingRedis(Processes):
    """Turns do not begin again here: after a loss nothing tells a process that was paused from the one that goes on."""

    begins_again = False

    def view(self, at: int, number: int) -> None:
        """Viewers miss events of runs that are lost."""

    @rule()
    def lose_everything(self) -> None:
        """But the runs that are still to be written are written again."""

        async def lose() -> None:
            await self.nodes[0].connection.client.eval(_LOSE, 0, f"{{{self.prefix}}}:*")
            for node in self.nodes:
                await self._set_lease(node, _FAR_MS)
                node.check()
                await node.admission.calls.settle()

        self._do(lose())
        self.lost |= {run.id for at, run in self.runs if run.id not in self.nodes[at].owned}
        self.shown.clear()


@pytest.mark.needs("redis")
@pytest.mark.parametrize("machine", [Processes, ProcessesOfALosingRedis])
def test_any_order_of_failures(shared_redis: RedisServer, machine: type[Processes]) -> None:
    machine.redis = shared_redis
    how = settings(max_examples=15, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(machine, settings=how)
