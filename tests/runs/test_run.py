"""However a run ends, its log ends with `RunFinished`, in time, and no task of it is left."""

import asyncio
import gc
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context, copy_context
from types import FunctionType, ModuleType
from typing import Any, get_args

import pytest
import structlog
from autogen_agentchat.agents import AssistantAgent, SocietyOfMindAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, TextMessage
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core import FunctionCall
from autogen_core.models import CreateResult, ModelInfo, RequestUsage
from autogen_core.tools import FunctionTool
from autogen_ext.models.replay import ReplayChatCompletionClient

from aiostream_server.config.model import Presentation
from aiostream_server.errors import ShuttingDown, TooManyRuns
from aiostream_server.events import Answer, Error, Message, Routing, RunFinished, RunStarted
from aiostream_server.log.memory import MemoryLog
from aiostream_server.present import new_presenter
from aiostream_server.runs.run import Run
from tests.kit.scripted_provider import ScriptedAnswer
from tests.kit.waiting import DEADLINE_S
from tests.models.recording import scripted_client
from tests.runs.running import events_of, runs_of

_INFO = ModelInfo(vision=False, function_calling=True, json_output=False, family="unknown", structured_output=False)
_NO_TEAM = "the factory returned int: expected an AutoGen team, an agent, or anything with run_stream or run"
_Stream = AsyncGenerator[BaseAgentEvent | BaseChatMessage | TaskResult, None]


def calling(tool: str) -> ReplayChatCompletionClient:
    call = FunctionCall("c1", "{}", tool)
    usage = RequestUsage(1, 1)
    return ReplayChatCompletionClient(
        [CreateResult(finish_reason="function_calls", content=[call], usage=usage, cached=False), "done"],
        model_info=_INFO,
    )


class Saying:
    """A user's own team: says things, then does what `_end` does."""

    def __init__(self, *texts: str, then: type[BaseException] | None = None) -> None:
        self._texts, self._then = texts, then

    async def run_stream(self, *, task: object) -> _Stream:
        for text in self._texts:
            yield TextMessage(content=text, source="A")
        if self._then is not None:
            raise self._then


class Stuck:
    """Says one thing, tells that it did, and waits; `deaf` to so many cancellations."""

    def __init__(self, deaf: int = 0) -> None:
        self._deaf = deaf

    async def run_stream(self, *, task: object) -> _Stream:
        yield TextMessage(content="hm", source="A")
        for left in range(self._deaf, -1, -1):
            try:
                await asyncio.sleep(3_600)
            except asyncio.CancelledError:
                if not left:
                    raise


async def _ended(run: Run) -> RunFinished:
    await asyncio.wait_for(run.wait(), DEADLINE_S)
    last = events_of(run)[-1]
    assert isinstance(last, RunFinished)
    assert [type(event) for event in events_of(run)].count(RunFinished) == 1
    return last


async def _has_said(run: Run, events: int) -> None:
    async with asyncio.timeout(DEADLINE_S):
        with run.log.reader(events - 1) as reader:
            while not await reader.read():
                pass  # woken by an event before that one


@asynccontextmanager
async def nothing_left() -> AsyncIterator[None]:
    """No task outlives the block by more than a few iterations of the event loop."""
    before = asyncio.all_tasks()
    yield
    async with asyncio.timeout(DEADLINE_S):
        while asyncio.all_tasks() - before:  # noqa: ASYNC110 - nothing tells when a task is gone
            await asyncio.sleep(0)


async def test_a_run_that_ends_well() -> None:
    async with nothing_left():
        run = await runs_of(lambda: Saying("one", "two")).start()
        assert (await _ended(run)).reason == "stop"
    assert list(events_of(run))[:-1] == [
        RunStarted("auto"),
        Message("A", "one"),
        Message("A", "two"),
        Answer("A", "two"),
    ]
    assert run.id.startswith("run-")


async def test_a_run_that_says_nothing() -> None:
    """Says that, where every client shows the answer."""
    run = await runs_of(Saying).start()
    assert (await _ended(run)).reason == "stop"
    said = Answer("Agent", "The team ended without saying anything.", streamed=False)
    assert list(events_of(run))[1:-1] == [Message("Agent", said.content), said]
    for presentation in get_args(Presentation):
        presenter = new_presenter(presentation)
        shown = [shown for event in events_of(run) for shown in presenter.show(event) if shown.channel == "content"]
        text = "".join(piece.text for piece in shown)
        assert text.endswith(said.content)
        assert Answer.sign not in text, "it is none"


async def test_a_routed_run() -> None:
    run = await runs_of(lambda: Saying("one")).start_routed("hello")
    assert (await _ended(run)).reason == "stop"
    assert any(isinstance(event, Routing) and event.team == "team" for event in events_of(run))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Saying("x", then=LookupError), "the team failed: LookupError"),
        (lambda: Saying("x", then=asyncio.CancelledError), "the team was cancelled from inside"),
        (
            lambda: 7,
            f"the team failed: TypeError: {_NO_TEAM}",
        ),
    ],
)
async def test_a_run_that_fails(make: Any, message: str) -> None:
    async with nothing_left():
        run = await runs_of(make).start()
        assert (await _ended(run)).reason == "error"
    assert events_of(run)[-2] == Error("team_failed", message)


async def test_a_stopped_run_keeps_what_was_said_until_then() -> None:
    async with nothing_left():
        run = await runs_of(Stuck).start()
        await _has_said(run, 2)
        run.end("cancelled")
        run.end("length")
        assert (await _ended(run)).reason == "cancelled"
        run.end("length")
    assert Message("A", "hm") in events_of(run)


async def test_a_run_that_is_stopped_at_once_never_builds_its_team() -> None:
    built: list[int] = []

    def make() -> Saying:
        built.append(1)
        return Saying("x")

    run = await runs_of(make).start()
    run.end("cancelled")
    assert (await _ended(run)).reason == "cancelled"
    assert not built


@pytest.mark.parametrize("deaf", [1, 2, 9])
async def test_a_team_that_swallows_cancellation(deaf: int) -> None:
    """It is cancelled twice; a team that does not end then is left behind, and the log says so."""
    with structlog.testing.capture_logs() as logs:
        run = await runs_of(lambda: Stuck(deaf)).start()
        await _has_said(run, 2)
        run.end("cancelled")
        await _ended(run)
    assert ("run_work_left_behind" in [line["event"] for line in logs]) == (deaf >= 2)
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)


@contextmanager
def quiet_thread() -> Iterator[threading.Event]:
    """An event that is set at the end, so that a blocked thread ends."""
    release = threading.Event()
    try:
        yield release
    finally:
        release.set()


@pytest.mark.parametrize("nested", ["alone", "group", "in a group", "society"])
@pytest.mark.parametrize("is_async", [True, False])
async def test_a_run_in_the_middle_of_a_tool_call_ends(is_async: bool, nested: str) -> None:
    """AutoGen's cancellation token alone would hang here. A tool in a thread goes on; the run does not wait for it."""
    started = asyncio.Event()
    loop = asyncio.get_running_loop()
    with quiet_thread() as release:

        async def wait() -> str:
            started.set()
            await asyncio.sleep(3_600)
            return "late"

        def block() -> str:
            loop.call_soon_threadsafe(started.set)
            release.wait(3_600)
            return "late"

        def make() -> object:
            tool = FunctionTool(wait if is_async else block, name="slow", description="slow")
            worker = AssistantAgent("A", calling("slow"), tools=[tool])
            if nested == "alone":
                return worker
            group = RoundRobinGroupChat([worker], max_turns=1)
            if nested == "group":
                return group
            if nested == "in a group":
                return RoundRobinGroupChat([group], max_turns=1)
            return RoundRobinGroupChat([SocietyOfMindAgent("S", group, calling("slow"))], max_turns=1)

        async with nothing_left():
            run = await runs_of(make).start()
            await asyncio.wait_for(started.wait(), DEADLINE_S)
            run.end("cancelled")
            assert (await _ended(run)).reason == "cancelled"


class Ignoring(ReplayChatCompletionClient):
    """A model client that does not look at the token."""

    called = asyncio.Event()

    async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
        Ignoring.called.set()
        await asyncio.sleep(3_600)
        return await super().create(*args, **kwargs)


async def test_a_model_client_that_ignores_the_token() -> None:
    async with nothing_left():
        Ignoring.called = asyncio.Event()
        run = await runs_of(lambda: RoundRobinGroupChat([AssistantAgent("A", Ignoring(["x"]))], max_turns=1)).start()
        await asyncio.wait_for(Ignoring.called.wait(), DEADLINE_S)
        run.end("cancelled")
        assert (await _ended(run)).reason == "cancelled"


@pytest.mark.parametrize(
    ("limits", "code"), [({"run_timeout_s": 0.1}, "run_timeout"), ({"idle_timeout_s": 0.1}, "idle_timeout")]
)
async def test_deadlines(limits: dict[str, Any], code: str) -> None:
    run = await runs_of(Stuck, **limits).start()
    assert (await _ended(run)).reason == "error"
    error = events_of(run)[-2]
    assert isinstance(error, Error)
    assert error.code == code
    assert "0.1 s" in error.message


async def test_a_team_that_speaks_is_not_idle() -> None:
    class Slow:
        async def run_stream(self, *, task: object) -> _Stream:
            for number in range(6):
                await asyncio.sleep(0.2)
                yield TextMessage(content=str(number), source="A")

    assert (await _ended(await runs_of(Slow, idle_timeout_s=1.0).start())).reason == "stop"


async def test_an_answer_that_the_budget_cut() -> None:
    """From a client that is not ours, too."""
    client = ReplayChatCompletionClient(["one two three four five"])

    def make() -> RoundRobinGroupChat:
        return RoundRobinGroupChat([AssistantAgent("A", client, model_client_stream=True)], max_turns=1)

    run = await runs_of(make).start(max_tokens=2)
    assert (await _ended(run)).reason == "length"
    assert Message("A", "one two ", streamed=True) in events_of(run)


async def test_an_answer_that_the_provider_cut() -> None:
    async with scripted_client() as (provider, client):
        provider.script(ScriptedAnswer("half an", finish="length"))
        run = await runs_of(lambda: AssistantAgent("A", client)).start()
        assert (await _ended(run)).reason == "length"
    assert Answer("A", "half an", streamed=True) in events_of(run)


async def test_each_run_logs_one_line_without_words_of_users() -> None:
    with structlog.testing.capture_logs() as logs:
        await _ended(await runs_of(lambda: Saying("a secret", then=LookupError)).start("a question"))
    (line,) = [line for line in logs if line["event"] == "run_finished"]
    assert (line["team"], line["outcome"], line["error"], line["agents"]) == ("team", "error", "team_failed", ("A",))
    assert "secret" not in str([line for line in logs if line["log_level"] != "debug"])


async def test_no_more_runs_than_the_limit_and_the_slot_is_free_afterwards() -> None:
    runs = runs_of(Stuck, max_runs=1)
    run = await runs.start()
    with pytest.raises(TooManyRuns, match="one run is"):
        await runs.start()
    run.end("cancelled")
    await _ended(run)
    await asyncio.sleep(0)
    assert len(runs.registry) == 0
    (await runs.start()).end("cancelled")
    await runs.registry.close()


async def test_closing_ends_every_run_and_admits_none() -> None:
    runs = runs_of(Stuck)
    live: Sequence[Run] = [await runs.start() for _ in range(5)]
    assert not runs.registry.is_closing
    await asyncio.wait_for(runs.registry.close(), DEADLINE_S)
    assert runs.registry.is_closing
    assert {(await _ended(run)).reason for run in live} == {"interrupted"}
    with pytest.raises(ShuttingDown):
        await runs.start()


async def test_a_run_that_was_never_started_is_not_waited_for() -> None:
    runs = runs_of(Stuck)
    run = await runs.start()
    never = Run("run-2", run.request, runs.resources, MemoryLog("run-2"))
    await asyncio.wait_for(never.wait(), DEADLINE_S)
    await runs.registry.close()


async def test_a_context_that_outlives_its_run_keeps_nothing_that_was_said() -> None:
    """Pooled connections keep the context in which they were opened, and asyncio's cancelled timers theirs."""
    kept: list[Context] = []

    class Verbose:
        async def run_stream(self, *, task: Any) -> _Stream:
            kept.append(copy_context())
            yield TextMessage(content="a" * 1_000_000, source="Verbose")
            yield TaskResult(messages=[], stop_reason="done")

    async with nothing_left():
        runs = runs_of(Verbose, retention_s=0.0)
        assert (await _ended(await runs.start("q" * 1_000_000))).reason == "stop"
    assert _largest_text(kept[0]) < 100_000


def _largest_text(start: object) -> int:
    """The longest text that can be reached without modules, classes and functions."""
    seen: dict[int, object] = {}
    found: list[object] = [start]
    while found:
        for each in gc.get_referents(found.pop()):
            if id(each) not in seen and not isinstance(each, ModuleType | type | FunctionType):
                seen[id(each)] = each
                found.append(each)
    return max(len(each) for each in seen.values() if isinstance(each, str | bytes))
