"""A run that is cancelled in any phase ends soon, with the reason `cancelled`, and leaves nothing behind.

What it waits for would take far longer than `DEADLINE_S`: only cancelling can end it.
"""

import asyncio
import gc
import itertools
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
import structlog
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import CreateResult
from autogen_core.tools import FunctionTool
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.config.model import OnDisconnect, RoutingConfig
from aiostream_server.events import Message, RunFinished, RunStarted
from aiostream_server.log.memory import MemoryLog
from aiostream_server.routing.candidates import Candidate
from aiostream_server.routing.router import Router
from aiostream_server.runs import supervision
from aiostream_server.runs.request import RunRequest
from aiostream_server.runs.run import Run
from tests.kit.runs import directory_of
from tests.kit.scripted_provider import ScriptedAnswer, Stall
from tests.kit.waiting import DEADLINE_S
from tests.models.recording import scripted_client
from tests.runs.running import events_of, runs_of
from tests.runs.test_run import Ignoring, Saying, Stuck, calling, nothing_left, quiet_thread

Reached = asyncio.Event


async def _cancelled(run: Run) -> RunFinished:
    run.end("cancelled")
    await asyncio.wait_for(run.wait(), DEADLINE_S)
    last = events_of(run)[-1]
    assert isinstance(last, RunFinished)
    assert last.reason == "cancelled"
    return last


def _factory_that_hangs(reached: Reached) -> Callable[[], object]:
    async def build() -> object:
        reached.set()
        return await asyncio.Event().wait()

    return build


def _tool_that_hangs(reached: Reached) -> Callable[[], object]:
    async def slow() -> str:
        reached.set()
        await asyncio.sleep(60)
        return "late"

    def make() -> object:
        tool = FunctionTool(slow, name="slow", description="slow")
        return RoundRobinGroupChat([AssistantAgent("A", calling("slow"), tools=[tool])], max_turns=1)

    return make


def _deaf_model(reached: Reached, *, nested: bool) -> Callable[[], object]:
    class Deaf(Ignoring):
        async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
            reached.set()
            return await super().create(*args, **kwargs)

    def make() -> object:
        group = RoundRobinGroupChat([AssistantAgent("A", Deaf(["x"]))], max_turns=1)
        return RoundRobinGroupChat([group], max_turns=1) if nested else group

    return make


def _own_team(reached: Reached) -> Callable[[], object]:
    class Own:
        async def run(self, *, task: object) -> TaskResult:
            reached.set()
            await asyncio.sleep(60)
            return TaskResult(messages=[])

    return Own


_PHASES: dict[str, Callable[[Reached], Callable[[], object]]] = {
    "building the team": _factory_that_hangs,
    "an async tool": _tool_that_hangs,
    "a model client that ignores the token": lambda reached: _deaf_model(reached, nested=False),
    "the same in a nested team": lambda reached: _deaf_model(reached, nested=True),
    "a team that cannot stream": _own_team,
}


@pytest.mark.parametrize("phase", _PHASES)
async def test_cancelled_in_the_middle_of(phase: str) -> None:
    reached = asyncio.Event()
    async with nothing_left():
        runs = runs_of(_PHASES[phase](reached), max_runs=1)
        run = await runs.start()
        await asyncio.wait_for(reached.wait(), DEADLINE_S)
        await _cancelled(run)
        assert len(runs.registry) == 0, "the slot is free"


def test_all_grace_periods_together_are_below_a_second() -> None:
    graces = (supervision._TOKEN_GRACE_S, supervision._RUNTIME_GRACE_S, 2 * supervision._LAST_GRACE_S)
    assert sum(graces) < 1


async def test_cancelled_before_the_first_event() -> None:
    async with nothing_left():
        run = await runs_of(Stuck).start()
        assert run.log.committed == 0
        await _cancelled(run)
    assert [type(event) for event in events_of(run)] == [RunStarted, RunFinished]


async def test_cancelled_while_a_model_routes() -> None:
    """And the provider's connection is closed."""
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer(Stall()))
        runs = runs_of(lambda: Saying("x"))
        candidates = [Candidate(name, name, "", ()) for name in ("team", "other")]
        resources = replace(runs.resources, router=Router(candidates, RoutingConfig(strategy="model"), client, ()))
        run = Run("run-1", RunRequest(runs.request().question, "auto"), resources, MemoryLog("run-1"))
        assert run.on_disconnect == "cancel", "no team's wish is known yet"
        run.start(on_end=lambda: None)
        exchange = await asyncio.wait_for(provider.request(), DEADLINE_S)
        await _cancelled(run)
        await asyncio.wait_for(exchange.closed.wait(), DEADLINE_S)


@pytest.mark.parametrize("is_blocked", [True, False])
async def test_a_tool_that_goes_on_in_its_thread_is_reported(is_blocked: bool) -> None:
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    with quiet_thread() as release, structlog.testing.capture_logs() as logs:

        def block() -> str:
            loop.call_soon_threadsafe(started.set)
            release.wait(3_600 if is_blocked else 0)
            return "late"

        def make() -> object:
            tool = FunctionTool(block, name="block", description="blocks")
            return RoundRobinGroupChat([AssistantAgent("A", calling("block"), tools=[tool]), Silent()], max_turns=2)

        run = await runs_of(make).start()
        await asyncio.wait_for(started.wait(), DEADLINE_S)
        if not is_blocked:
            await asyncio.wait_for(Silent.reached.wait(), DEADLINE_S)
        await _cancelled(run)
    warnings = [line for line in logs if line["event"] == "tool_thread_left_behind"]
    assert [line["tools"] for line in warnings] == ([["block"]] if is_blocked else [])


class Silent(AssistantAgent):
    """Hangs in its turn; `reached` tells that it has begun."""

    reached = asyncio.Event()

    def __init__(self) -> None:
        super().__init__("Silent", ReplayChatCompletionClient(["x"]))
        Silent.reached = asyncio.Event()

    async def on_messages_stream(self, *_: Any, **__: Any) -> Any:
        Silent.reached.set()
        await asyncio.sleep(60)
        yield None


async def test_what_a_cancelled_run_has_written_is_counted() -> None:
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("one ", "two ", "three ", Stall()))
        run = await runs_of(lambda: RoundRobinGroupChat([AssistantAgent("A", client)], max_turns=1)).start()
        with run.log.reader() as reader:
            async with asyncio.timeout(DEADLINE_S):
                while sum(event.type == "token" for event in events_of(run)) < 3:
                    await reader.read()
        finished = await _cancelled(run)
    assert finished.usage.completion_tokens == 3
    assert Message("A", "one two three ", streamed=True) in events_of(run)


async def test_an_agent_that_cancels_itself_is_ended_by_the_idle_deadline() -> None:
    """AutoGen waits for it for ever."""

    class Own(AssistantAgent):
        async def on_messages_stream(self, *_: Any, **__: Any) -> Any:
            raise asyncio.CancelledError
            yield None

    def make() -> object:
        return RoundRobinGroupChat([Own("A", ReplayChatCompletionClient(["x"]))], max_turns=1)

    async with nothing_left():
        run = await runs_of(make, idle_timeout_s=0.2).start()
        await asyncio.wait_for(run.wait(), DEADLINE_S)
    assert run.finished is not None
    assert run.finished.reason == "error"


async def test_a_team_that_waits_for_its_viewers_is_not_idle() -> None:
    class Waiting:
        async def run_stream(self, *, task: object) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage, None]:
            yield TextMessage(content="x", source="A")
            assert isinstance(run.log, MemoryLog)
            run.log._max_ahead_bytes = 0
            await run.log.room()

    run = await runs_of(Waiting, idle_timeout_s=0.4).start()
    with run.watch(0) as reader:
        await asyncio.sleep(1.0)
        assert run.finished is None
        while not reader.at_end:
            await reader.read()
    assert run.finished is not None
    assert run.finished.reason == "stop"


async def test_an_exception_without_readable_text_is_told() -> None:
    class Unreadable(Exception):
        def __str__(self) -> str:
            raise ValueError

    run = await runs_of(lambda: Saying("x", then=Unreadable)).start()
    await asyncio.wait_for(run.wait(), DEADLINE_S)
    assert run.finished is not None
    assert run.finished.reason == "error"


_ON_DISCONNECT: list[tuple[OnDisconnect | None, OnDisconnect | None, OnDisconnect, bool]] = [
    # the request's, the team's, the default, whether the run is cancelled
    (None, None, "cancel", True),
    (None, None, "continue", False),
    (None, "continue", "cancel", False),
    (None, "cancel", "continue", True),
    ("cancel", "continue", "continue", True),
    ("continue", "cancel", "cancel", False),
]


@pytest.mark.parametrize(("of_request", "of_team", "by_default", "is_cancelled"), _ON_DISCONNECT)
async def test_when_the_last_viewer_leaves(
    of_request: OnDisconnect | None, of_team: OnDisconnect | None, by_default: OnDisconnect, is_cancelled: bool
) -> None:
    runs = runs_of(Stuck, config={"on_disconnect": of_team})
    asked = runs.request()
    request = RunRequest(asked.question, "auto", asked.spec, on_disconnect=of_request, by_default=by_default)
    run = await runs.registry.start(request)
    with run.watch():
        with run.watch():
            pass
        assert not run._ending.done(), "one viewer is still there"
    assert run._ending.done() == is_cancelled
    await asyncio.wait_for(runs.registry.close(), DEADLINE_S)
    with run.watch():
        pass
    assert run.finished is not None
    assert run.finished.reason == ("cancelled" if is_cancelled else "interrupted")


async def test_a_bad_cursor_does_not_end_the_run() -> None:
    runs = runs_of(Stuck)
    run = await runs.start()
    with pytest.raises(ValueError, match="numbered from 1"), run.watch(-1):
        pass
    assert not run._ending.done()
    await runs.registry.close()


async def _finish(run: Run) -> None:
    await run.wait()


async def _cancel(run: Run) -> None:
    await asyncio.sleep(0)
    run.end("cancelled")
    await run.wait()


async def _leave(run: Run) -> None:
    with run.watch() as reader:
        await reader.read()
    await run.wait()


class Failing(ReplayChatCompletionClient):
    async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
        raise OSError("gone")


_KINDS: list[tuple[Callable[[], object], Callable[[Run], Awaitable[None]]]] = [
    (lambda: AssistantAgent("A", ReplayChatCompletionClient(["a b c"]), model_client_stream=True), _finish),
    (lambda: AssistantAgent("A", Ignoring(["x"])), _cancel),
    (lambda: RoundRobinGroupChat([AssistantAgent("A", ReplayChatCompletionClient(["x"]))], max_turns=1), _leave),
    (lambda: AssistantAgent("A", Failing(["x"])), _finish),
    (lambda: Saying("x", then=LookupError), _finish),
    (lambda: Stuck(), _leave),
]


@pytest.mark.usefixtures("earlier_tests_are_frozen")
async def test_hundreds_of_runs_leave_nothing() -> None:
    """However they end: no task, and no objects beyond a few."""
    numbers = itertools.count()
    many = _KINDS * 4
    runs = runs_of(lambda: _KINDS[next(numbers) % len(_KINDS)][0](), retention_s=0, max_runs=1_000)

    async def batch(count: int) -> Counter[str]:
        for _ in range(count):
            started = [await runs.start() for _ in many]  # teams are built in the order in which runs were started
            await asyncio.gather(*(end(run) for run, (_, end) in zip(started, many, strict=True)))
        directory_of(runs.registry)._dropped.clear()  # ten thousand ids are remembered on purpose
        logs.clear()  # debug lines hold exceptions, and those their frames
        for _ in range(3):  # generators are finalised by the loop, which lets go of more
            await asyncio.sleep(0.01)
            gc.collect()
        return Counter(type(each).__name__ for each in gc.get_objects())

    with structlog.testing.capture_logs() as logs:
        async with nothing_left():
            await batch(1)
            before, after = await batch(1), await batch(10)
            grown = {kind: count for kind, count in (after - before).items() if count > 30}
    assert not grown, str(grown)
